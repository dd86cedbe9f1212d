//! The arguments of a process that has a role in a fleet: the role, and the two words of the fleet's key.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use fos_messages::names::DirectoryKey;

/// The role of a process that serves.
pub const MEMBER: &str = "member";

/// Arguments for a process in this role, after its program's name.
pub fn arguments(role: &str, key: DirectoryKey) -> Vec<String> {
    let [one, other] = key.to_words();
    [role.to_string(), one, other].into()
}

/// The key in such arguments, the program's name before them; more may follow it.
pub fn key(arguments: &[String]) -> Result<DirectoryKey, String> {
    let words = arguments.get(2..4).and_then(DirectoryKey::from_words);
    words.ok_or_else(|| "the two words of the fleet's key are missing in the program's arguments".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_stands_behind_program_and_role() {
        let given = DirectoryKey([1, u64::MAX]);
        let mut line: Vec<String> = ["pages".into()].into();
        line.extend(arguments(MEMBER, given));
        assert_eq!(key(&line), Ok(given));
        line.push("more".into());
        assert_eq!(key(&line), Ok(given));
        assert!(key(&line[..3]).is_err());
        assert!(key(&line[1..]).is_err());
    }
}
