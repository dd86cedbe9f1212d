//! The kernel's command line, as far as root reads it: `run=default` or `run=control`.

/// Who says what runs after boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// The host, over the control link.
    Control,
    /// The image's `default` commands, one after another; then the machine ends.
    Default,
}

/// Reads the command line; the last word about `run` counts, and none means the control link.
pub fn runs(line: &[u8]) -> Runs {
    let words = line.split(|byte| byte.is_ascii_whitespace());
    match words.filter_map(|word| word.strip_prefix(b"run=")).next_back() {
        Some(b"default") => Runs::Default,
        _ => Runs::Control,
    }
}
