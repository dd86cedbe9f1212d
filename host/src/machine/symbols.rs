//! Addresses in console lines, resolved: the kernel prints raw return addresses, since it carries no symbols, and the
//! host has the ELF files that it booted.
//!
//! ```text
//! fos-backtrace: core 2 0xffffffff80012345 0xffffffff80010000     the kernel's own stack
//! fos-fault: program NAME 0x401000 0x400800                       a program's
//! ```
//!
//! Each such line is followed by one line per address. Everything else passes unchanged. An address after a call is
//! looked up one byte earlier, inside the call; the first address of a fault is where it happened and is not.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// The name under which the kernel's ELF is known; no program can have it (it is not a valid name).
pub const KERNEL: &str = "(kernel)";

const BACKTRACE: &str = "fos-backtrace: ";
const FAULT: &str = "fos-fault: program ";
/// Addresses resolved of one line; a garbled line must not cost seconds.
const ADDRESSES_MAX: usize = 64;

/// The ELF files of a machine, opened when a line needs them.
#[derive(Debug)]
pub struct Symbols {
    files: BTreeMap<String, PathBuf>,
}

impl Symbols {
    /// From program names (and [`KERNEL`]) to files.
    pub fn new(files: BTreeMap<String, PathBuf>) -> Symbols {
        Symbols { files }
    }

    /// The line, followed by what its addresses are.
    pub fn resolve(&self, line: String) -> Vec<String> {
        let Some((name, first_is_exact)) = subject(&line) else { return vec![line] };
        let addresses = addresses(&line);
        let Some(loader) = self.files.get(name).and_then(|path| addr2line::Loader::new(path).ok()) else {
            return vec![line];
        };
        let resolved = addresses.iter().enumerate().flat_map(|(index, address)| {
            let inside = if index == 0 && first_is_exact { *address } else { address.saturating_sub(1) };
            frames(&loader, inside).into_iter().map(move |frame| format!("    {address:#x} {frame}"))
        });
        let resolved: Vec<String> = resolved.collect();
        std::iter::once(line).chain(resolved).collect()
    }
}

/// Whose addresses a line holds, and whether the first is the faulting instruction itself.
fn subject(line: &str) -> Option<(&str, bool)> {
    if let Some(at) = line.find(FAULT) {
        return Some((line[at + FAULT.len()..].split_whitespace().next()?, true));
    }
    line.contains(BACKTRACE).then_some((KERNEL, false))
}

fn addresses(line: &str) -> Vec<u64> {
    let words = line.split_whitespace().filter_map(|word| word.strip_prefix("0x"));
    words.filter_map(|digits| u64::from_str_radix(digits, 16).ok()).take(ADDRESSES_MAX).collect()
}

/// Whether an address is in a section of code; a symbol table names the nearest symbol for any address at all.
fn is_code(loader: &addr2line::Loader, address: u64) -> bool {
    let sections = [&b".text"[..], b".boot"].into_iter();
    let mut ranges = sections.filter_map(|name| loader.get_section_range(name));
    ranges.any(|range| (range.begin..range.end).contains(&address))
}

/// `function at file:line`, innermost first where functions were inlined.
fn frames(loader: &addr2line::Loader, address: u64) -> Vec<String> {
    let mut found = Vec::new();
    if !is_code(loader, address) {
        return vec!["(no code)".to_owned()];
    }
    if let Ok(mut frames) = loader.find_frames(address) {
        while let Ok(Some(frame)) = frames.next() {
            let name =
                frame.function.as_ref().and_then(|name| name.demangle().ok().map(|name| name.into_owned()));
            let place = frame.location.as_ref().and_then(|place| Some((short(place.file?), place.line?)));
            match (name, place) {
                (Some(name), Some((file, line))) => found.push(format!("{name} at {file}:{line}")),
                (Some(name), None) => found.push(name),
                (None, Some((file, line))) => found.push(format!("at {file}:{line}")),
                (None, None) => {}
            }
        }
    }
    if found.is_empty() {
        let name =
            loader.find_symbol(address).map(|name| addr2line::demangle_auto(name.into(), None).into_owned());
        found.push(name.unwrap_or_else(|| "(no symbol)".to_owned()));
    }
    found
}

/// The path below the tree's root, or from the crate's name on.
fn short(file: &str) -> &str {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let root = root.strip_suffix("host/").unwrap_or(root);
    file.strip_prefix(root).unwrap_or_else(|| {
        let marks = ["/registry/src/", "/library/"];
        marks.iter().find_map(|mark| Some(file.split_once(mark)?.1)).unwrap_or(file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols_of_this_test() -> Symbols {
        let this = std::env::current_exe().unwrap();
        Symbols::new(BTreeMap::from([("me".to_owned(), this.clone()), (KERNEL.to_owned(), this)]))
    }

    /// The address of a function in this program's file: its address in memory less where the program is loaded.
    fn address_in_file() -> u64 {
        let memory = short as fn(&str) -> &str as usize as u64;
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let base = maps.lines().next().unwrap().split('-').next().unwrap();
        memory - u64::from_str_radix(base, 16).unwrap()
    }

    #[test]
    fn other_lines_pass_unchanged() {
        let symbols = symbols_of_this_test();
        assert_eq!(symbols.resolve("fos: 4 cores 0x10".into()), ["fos: 4 cores 0x10"]);
    }

    #[test]
    fn a_fault_is_resolved_at_its_very_address() {
        let symbols = symbols_of_this_test();
        let lines = symbols.resolve(format!("fos-fault: program me {:#x}", address_in_file()));
        assert!(lines[1..].iter().any(|line| line.contains("symbols::short")), "{lines:?}");
    }

    #[test]
    fn a_return_address_is_resolved_inside_the_call() {
        let symbols = symbols_of_this_test();
        let lines = symbols.resolve(format!("fos-backtrace: core 1 {:#x}", address_in_file() + 1));
        assert!(lines[1..].iter().any(|line| line.contains("symbols::short")), "{lines:?}");
    }

    #[test]
    fn unknown_programs_and_wild_addresses_are_survived() {
        let symbols = symbols_of_this_test();
        assert_eq!(symbols.resolve("fos-fault: program other 0x1".into()).len(), 1);
        let lines = symbols.resolve("fos-backtrace: core 0 0x0 0xffffffffffffffff 0xzz".into());
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[1..].iter().all(|line| line.ends_with("(no code)")), "{lines:?}");
    }
}
