//! Names: `/sys/network/3`. Checked once, when made from text or bytes; a [`Path`] is always well formed.
//!
//! A path is `/` alone, or up to 8 components, each after a `/`: 1 to 32 bytes of `a-z 0-9 . _ -`, not `.` and not `..`;
//! 128 bytes in all. No case, no spaces, no escapes: two names that look alike are alike.

use alloc::string::{String, ToString};
use serde::{Deserialize, Deserializer, Serialize};

/// Bytes of the longest path.
pub const PATH_BYTES_MAX: usize = 128;
/// Components of the deepest path.
pub const COMPONENTS_MAX: usize = 8;
/// Bytes of the longest component.
pub const COMPONENT_BYTES_MAX: usize = 32;

/// A name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Path(String);

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathError {
    /// It does not begin with `/`.
    NotAbsolute,
    /// More than [`PATH_BYTES_MAX`] bytes.
    TooLong,
    /// More than [`COMPONENTS_MAX`] components.
    TooDeep,
    /// A component is empty, `.`, `..`, longer than [`COMPONENT_BYTES_MAX`], or has a byte that names do not have.
    BadComponent,
}

impl core::fmt::Display for PathError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(match self {
            PathError::NotAbsolute => "a name begins with `/`",
            PathError::TooLong => "a name has at most 128 bytes",
            PathError::TooDeep => "a name has at most 8 components",
            PathError::BadComponent => "a component of a name is 1 to 32 of `a-z 0-9 . _ -`, not `.` or `..`",
        })
    }
}

impl core::error::Error for PathError {}

impl Path {
    /// The top.
    pub fn root() -> Path {
        Path("/".to_string())
    }

    /// Checks a text.
    pub fn new(text: &str) -> Result<Path, PathError> {
        if text.len() > PATH_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let below = text.strip_prefix('/').ok_or(PathError::NotAbsolute)?;
        if !below.is_empty() {
            if below.split('/').count() > COMPONENTS_MAX {
                return Err(PathError::TooDeep);
            }
            if !below.split('/').all(is_component) {
                return Err(PathError::BadComponent);
            }
        }
        Ok(Path(text.to_string()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its components, from the top.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').filter(|component| !component.is_empty())
    }

    /// The path above; none above the top.
    pub fn parent(&self) -> Option<Path> {
        let at = self.0.rfind('/').filter(|_| self.0.len() > 1)?;
        Some(Path(self.0[..at.max(1)].to_string()))
    }

    /// The path one component below.
    pub fn child(&self, component: &str) -> Result<Path, PathError> {
        let slash = if self.0.len() > 1 { "/" } else { "" };
        let mut text = String::with_capacity(self.0.len() + 1 + component.len());
        [self.0.as_str(), slash, component].into_iter().for_each(|part| text.push_str(part));
        if component.contains('/') { Err(PathError::BadComponent) } else { Path::new(&text) }
    }

    /// Everything below this path sorts between these two, which are no names themselves: `/` comes right before `0`.
    pub fn subtree(&self) -> (Path, Path) {
        let prefix = if self.0.len() > 1 { self.0.as_str() } else { "" };
        (Path([prefix, "/"].concat()), Path([prefix, "0"].concat()))
    }

    /// The component below `directory` on the way to this path; none if it is not below.
    pub fn step_below<'a>(&'a self, directory: &Path) -> Option<&'a str> {
        let prefix = if directory.0.len() > 1 { directory.0.as_str() } else { "" };
        let rest = self.0.strip_prefix(prefix)?.strip_prefix('/')?;
        rest.split('/').next().filter(|component| !component.is_empty())
    }
}

fn is_component(text: &str) -> bool {
    let is_name_byte =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    (1..=COMPONENT_BYTES_MAX).contains(&text.len())
        && text != "."
        && text != ".."
        && text.bytes().all(is_name_byte)
}

impl core::fmt::Display for Path {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl core::str::FromStr for Path {
    type Err = PathError;
    fn from_str(text: &str) -> Result<Path, PathError> {
        Path::new(text)
    }
}

impl<'de> Deserialize<'de> for Path {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Path, D::Error> {
        let text = <&str>::deserialize(deserializer)?;
        Path::new(text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_a_name() {
        for good in ["/", "/sys", "/sys/network/3", "/a.b_c-d/0", "/1/2/3/4/5/6/7/8"] {
            assert_eq!(Path::new(good).unwrap().as_str(), good);
        }
        let long_component = ["/", &"a".repeat(33)].concat();
        let long = ["/", &"abcdefgh/".repeat(15), "z"].concat();
        for (bad, error) in [
            ("", PathError::NotAbsolute),
            ("sys", PathError::NotAbsolute),
            ("/sys/", PathError::BadComponent),
            ("//", PathError::BadComponent),
            ("/.", PathError::BadComponent),
            ("/a/../b", PathError::BadComponent),
            ("/Sys", PathError::BadComponent),
            ("/a b", PathError::BadComponent),
            ("/a\0", PathError::BadComponent),
            ("/ä", PathError::BadComponent),
            (long_component.as_str(), PathError::BadComponent),
            ("/1/2/3/4/5/6/7/8/9", PathError::TooDeep),
            (long.as_str(), PathError::TooLong),
        ] {
            assert_eq!(Path::new(bad), Err(error), "{bad:?}");
        }
    }

    #[test]
    fn up_and_down() {
        let network = Path::new("/sys/network").unwrap();
        assert_eq!(network.parent().unwrap().as_str(), "/sys");
        assert_eq!(network.parent().unwrap().parent().unwrap(), Path::root());
        assert_eq!(Path::root().parent(), None);
        assert_eq!(Path::root().child("sys").unwrap().child("network").unwrap(), network);
        assert_eq!(network.child("a/b"), Err(PathError::BadComponent));
        assert_eq!(network.step_below(&Path::root()), Some("sys"));
        assert_eq!(network.step_below(&Path::new("/sys").unwrap()), Some("network"));
        assert_eq!(network.step_below(&network), None);
        assert_eq!(network.step_below(&Path::new("/sy").unwrap()), None);
    }

    proptest! {
        #[test]
        fn a_subtree_is_a_range(above in "(/[a.0-]{1,3}){0,3}", other in "(/[a.0-]{1,3}){1,4}") {
            let text = if above.is_empty() { "/" } else { above.as_str() };
            if let (Ok(above), Ok(other)) = (Path::new(text), Path::new(&other)) {
                let (first, end) = above.subtree();
                prop_assert_eq!(other.step_below(&above).is_some(), first < other && other < end);
            }
        }

        #[test]
        fn a_path_from_the_wire_is_as_good_as_one_from_text(text in "/?[a-c./A]{0,12}") {
            let bytes = postcard::to_allocvec(&text).unwrap();
            let read = postcard::from_bytes::<Path>(&bytes).ok();
            prop_assert_eq!(read, Path::new(&text).ok());
        }
    }
}
