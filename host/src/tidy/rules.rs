//! The rules about single Rust files.

use super::source::code;
use super::{Finding, SourceFile};

/// A file longer than this says why in its `//!` block, on a line that begins with `Long because:`.
pub const LINES_MAX: usize = 600;
const REASON: &str = "//! Long because:";

/// Folders whose crates are written without `unsafe`.
const SAFE_FOLDERS: [&str; 5] = ["posix/", "apps/", "fleets/", "sim/", "messages/"];

/// Folders whose machine code and machine names are under `arch/`.
const PORTABLE_FOLDERS: [&str; 2] = ["kernel/src/", "libfos/src/"];
/// What only code for one machine calls by name.
const MACHINE_WORDS: [&str; 9] =
    ["asm!", "global_asm!", "naked_asm!", "x86_64", "apic", "x2apic", "cpuid", "rdmsr", "wrmsr"];

/// Every file opens with what it protects or decides.
pub fn opens_with_its_purpose(file: &SourceFile) -> Vec<Finding> {
    if file.text.starts_with("//! ") {
        return vec![];
    }
    vec![Finding::new(&file.path, 1, "does not open with `//!`; say what it protects or decides")]
}

/// No file is so long that only one person dares to open it.
pub fn is_short_or_says_why(file: &SourceFile) -> Vec<Finding> {
    let lines = file.text.lines().count();
    let mut opening = file.text.lines().take_while(|line| line.starts_with("//!"));
    if lines <= LINES_MAX || opening.any(|line| line.starts_with(REASON)) {
        return vec![];
    }
    let message = format!("has {lines} lines, over {LINES_MAX}; split it, or say `{REASON} ...` at its top");
    vec![Finding::new(&file.path, 0, message)]
}

/// Crates above libfos are written without `unsafe`, and the compiler is told so.
pub fn forbids_unsafe(file: &SourceFile) -> Vec<Finding> {
    let inside = SAFE_FOLDERS.iter().any(|folder| file.path.starts_with(folder));
    let is_root = file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs");
    if !inside || !is_root || code(&file.text).contains("#![forbid(unsafe_code)]") {
        return vec![];
    }
    vec![Finding::new(&file.path, 0, "lacks `#![forbid(unsafe_code)]`")]
}

/// Code for one machine is where the next machine's will be, under `arch/`.
pub fn names_machines_only_in_arch(file: &SourceFile) -> Vec<Finding> {
    let portable = PORTABLE_FOLDERS.iter().any(|folder| file.path.starts_with(folder));
    if !portable || file.path.contains("/arch/") {
        return vec![];
    }
    let code = code(&file.text);
    let lines = code.lines().enumerate();
    let finding = |(index, line): (usize, &str)| {
        let word = MACHINE_WORDS.iter().find(|word| names(line, word))?;
        Some(Finding::new(&file.path, index + 1, format!("`{word}` belongs under arch/")))
    };
    lines.filter_map(finding).collect()
}

/// Whether a line of code holds `word` as a whole word, or as a part of a name between underscores.
fn names(line: &str, word: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let is_boundary = |character: Option<char>| character.is_none_or(|c| !c.is_ascii_alphanumeric());
    lower.match_indices(word).any(|(at, _)| {
        is_boundary(lower[..at].chars().next_back()) && is_boundary(lower[at + word.len()..].chars().next())
            || word.ends_with('!') && is_boundary(lower[..at].chars().next_back())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn a_file_without_its_purpose_is_found() {
        assert_eq!(opens_with_its_purpose(&file("a.rs", "use x;\n")).len(), 1);
        assert_eq!(opens_with_its_purpose(&file("a.rs", "//! Decides.\n")).len(), 0);
    }

    #[test]
    fn a_long_file_is_found_unless_it_says_why() {
        let long = format!("//! Decides.\n{}", "x\n".repeat(LINES_MAX));
        assert_eq!(is_short_or_says_why(&file("a.rs", &long)).len(), 1);
        let with_reason = format!("//! Decides.\n//! Long because: it is one table.\n{long}");
        assert_eq!(is_short_or_says_why(&file("a.rs", &with_reason)).len(), 0);
        let reason_below = format!("{long}//! Long because: no.\n");
        assert_eq!(is_short_or_says_why(&file("a.rs", &reason_below)).len(), 1);
    }

    #[test]
    fn a_crate_that_may_use_unsafe_by_mistake_is_found() {
        let without = "//! About.\n#![no_std]\n// #![forbid(unsafe_code)]\n";
        assert_eq!(forbids_unsafe(&file("apps/shell/src/main.rs", without)).len(), 1);
        assert_eq!(forbids_unsafe(&file("apps/shell/src/other.rs", without)).len(), 0);
        assert_eq!(forbids_unsafe(&file("kernel/src/lib.rs", without)).len(), 0);
        let with = "//! About.\n#![forbid(unsafe_code)]\n";
        assert_eq!(forbids_unsafe(&file("posix/src/lib.rs", with)).len(), 0);
    }

    #[test]
    fn machine_words_outside_arch_are_found_by_line() {
        let text = "//! The apic is programmed elsewhere.\nfn f() {\n    x2apic_write();\n    core::arch::asm!(\"hlt\");\n}\n";
        let lines =
            |path| names_machines_only_in_arch(&file(path, text)).iter().map(|f| f.line).collect::<Vec<_>>();
        assert_eq!(lines("kernel/src/thread.rs"), [3, 4]);
        assert!(lines("kernel/src/arch/x86_64/apic.rs").is_empty());
        assert!(lines("host/src/main.rs").is_empty());
        let capicity = "fn f() { capicity(); plasm!(); }\n";
        assert!(names_machines_only_in_arch(&file("kernel/src/a.rs", capicity)).is_empty());
    }
}
