//! The initial stack, read back the way a C library reads it.

use crate::stack::{Contents, STRINGS_MAX, Stack, TooLong, build};
use fos_messages::start::Guest;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const TOP: u64 = 0x7fff_0000_0000;
const GUEST: Guest =
    Guest { entry: 0x40_ebf0, headers: 0x40_0040, header_size: 56, header_count: 10, segments: Vec::new() };

/// What a program finds.
#[derive(Debug, PartialEq)]
struct Found {
    arguments: Vec<String>,
    environment: Vec<String>,
    auxiliary: BTreeMap<u64, u64>,
}

fn word(stack: &Stack, address: u64) -> u64 {
    let at = (address - stack.pointer) as usize;
    u64::from_le_bytes(stack.bytes[at..at + 8].try_into().unwrap())
}

fn string(stack: &Stack, address: u64) -> String {
    let bytes = &stack.bytes[(address - stack.pointer) as usize..];
    let end = bytes.iter().position(|byte| *byte == 0).expect("strings end");
    String::from_utf8(bytes[..end].to_vec()).unwrap()
}

fn strings(stack: &Stack, address: &mut u64) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        let pointer = word(stack, *address);
        *address += 8;
        if pointer == 0 {
            return found;
        }
        found.push(string(stack, pointer));
    }
}

fn read(stack: &Stack) -> Found {
    let mut address = stack.pointer + 8;
    let arguments = strings(stack, &mut address);
    assert_eq!(word(stack, stack.pointer), arguments.len() as u64);
    let environment = strings(stack, &mut address);
    let mut auxiliary = BTreeMap::new();
    while word(stack, address) != 0 {
        auxiliary.insert(word(stack, address), word(stack, address + 8));
        address += 16;
    }
    Found { arguments, environment, auxiliary }
}

fn contents<'a>(arguments: &'a [String], environment: &'a [(String, String)]) -> Contents<'a> {
    Contents {
        arguments,
        environment,
        random: *b"sixteen randoms.",
        hardware: 0xbfe_bfff,
        fs_base_writable: true,
    }
}

#[test]
fn a_program_finds_its_arguments_and_its_image() {
    let arguments = ["busybox", "echo", "hello"].map(String::from);
    let environment = [("PATH".to_string(), "/bin".to_string())];
    let stack = build(TOP, &GUEST, &contents(&arguments, &environment)).unwrap();
    let found = read(&stack);
    assert_eq!(found.arguments, arguments);
    assert_eq!(found.environment, ["PATH=/bin"]);
    let value = |kind: u64| found.auxiliary[&kind];
    assert_eq!((value(3), value(4), value(5), value(9)), (GUEST.headers, 56, 10, GUEST.entry));
    assert_eq!((value(6), value(7), value(17), value(23)), (4096, 0, 100, 0));
    assert_eq!((value(11), value(12), value(13), value(14)), (0, 0, 0, 0));
    assert_eq!((value(16), value(26)), (0xbfe_bfff, 2));
    assert_eq!(string(&stack, value(31)), "busybox", "AT_EXECFN");
    assert_eq!(string(&stack, value(15)), "x86_64", "AT_PLATFORM");
    let random = (value(25) - stack.pointer) as usize;
    assert_eq!(&stack.bytes[random..random + 16], b"sixteen randoms.");
    assert_eq!(found.auxiliary.get(&33), None, "there is no vDSO");
}

#[test]
fn too_many_strings_are_refused() {
    let arguments = vec!["x".repeat(STRINGS_MAX)];
    assert_eq!(build(TOP, &GUEST, &contents(&arguments, &[])).unwrap_err(), TooLong);
}

proptest! {
    #[test]
    fn any_arguments_come_through(
        arguments in proptest::collection::vec("[^\0]{0,20}", 0..20),
        environment in proptest::collection::vec(("[A-Z]{1,8}", "[^\0]{0,20}"), 0..10),
    ) {
        let stack = build(TOP, &GUEST, &contents(&arguments, &environment)).unwrap();
        prop_assert_eq!(stack.pointer % 16, 0);
        prop_assert_eq!(stack.pointer + stack.bytes.len() as u64, TOP);
        let found = read(&stack);
        prop_assert_eq!(found.arguments, arguments);
        let pairs: Vec<String> = environment.iter().map(|(name, value)| std::format!("{name}={value}")).collect();
        prop_assert_eq!(found.environment, pairs);
    }
}
