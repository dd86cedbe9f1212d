//! The header is what the library is: the C compiler checks it against declarations, layouts and numbers that are made
//! here of the Rust ones. And what null pointers get.

use crate::mailbox::*;
use crate::names::*;
use crate::process::*;
use crate::send::*;
use crate::status::*;
use crate::text::*;
use crate::{Process, Status};
use core::ffi::c_char;
use core::mem::offset_of;
use fos_abi::error::ERRORS;
use fos_abi::key::KeyRights;
use fos_abi::limits::WAIT_MAX;
use fos_abi::mailbox::{self, EndReason, MessageKind, Notice};
use fos_abi::{Error, Key};
use fos_messages::names::PATH_BYTES_MAX;
use fos_messages::start::NAME_MAX;
use libfos::clock::Deadline;
use libfos::mailbox::Mailbox;
use libfos::named::NamedSender;
use std::format;
use std::io::Write;
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::vec::Vec;

/// A type as C writes it.
trait InC {
    fn name() -> String;
}

macro_rules! in_c {
    ($($rust:ty => $c:literal),* $(,)?) => {$(
        impl InC for $rust {
            fn name() -> String {
                $c.to_string()
            }
        }
    )*};
}

in_c! {
    () => "void", u8 => "uint8_t", u32 => "uint32_t", u64 => "uint64_t", usize => "size_t", c_char => "char",
    Status => "fos_status", Process => "struct fos", Mailbox => "struct fos_mailbox", Key => "struct fos_key",
    Found => "struct fos_address", Received => "struct fos_message", NamedSender => "struct fos_sender",
}

impl<T: InC> InC for Option<&T> {
    fn name() -> String {
        format!("{} const *", T::name())
    }
}
impl<T: InC> InC for Option<&mut T> {
    fn name() -> String {
        format!("{} *", T::name())
    }
}
impl<T: InC> InC for *mut T {
    fn name() -> String {
        format!("{} *", T::name())
    }
}
impl<T: InC> InC for *const T {
    fn name() -> String {
        format!("{} const *", T::name())
    }
}

/// Bytes of any type: `void` in C.
struct Any;
in_c!(Any => "void");

/// The declaration of a function, made of its Rust type.
macro_rules! declaration {
    ($function:ident($($argument:ty),*) -> $result:ty) => {{
        // The compiler compares the types; safe functions pass for unsafe ones.
        let _: unsafe extern "C" fn($(<$argument as Given>::Rust),*) -> $result = $function;
        let arguments: &[String] = &[$(<$argument as InC>::name()),*];
        format!("{} {}({});\n", <$result as InC>::name(), stringify!($function), arguments.join(", "))
    }};
}

/// What Rust takes where C passes a type: itself, but for bytes of any type.
trait Given {
    type Rust;
}
macro_rules! given {
    ($($type:ty => $rust:ty),* $(,)?) => {$(impl<'a> Given for $type { type Rust = $rust; })*};
}
given! {
    u8 => u8, u32 => u32, u64 => u64, usize => usize, Status => Status,
    *const c_char => *const c_char, *const Any => *const u8, *mut Any => *mut u8, *mut Mailbox => *mut Mailbox,
    *const Option<&'a Mailbox> => *const Option<&'a Mailbox>, Option<&'a mut *mut Mailbox> => Option<&'a mut *mut Mailbox>,
    Option<&'a Process> => Option<&'a Process>, Option<&'a mut Process> => Option<&'a mut Process>,
    Option<&'a Mailbox> => Option<&'a Mailbox>, Option<&'a mut Mailbox> => Option<&'a mut Mailbox>,
    Option<&'a Key> => Option<&'a Key>, Option<&'a mut Key> => Option<&'a mut Key>, Option<&'a mut u32> => Option<&'a mut u32>,
    *mut NamedSender => *mut NamedSender, Option<&'a mut *mut NamedSender> => Option<&'a mut *mut NamedSender>,
    Option<&'a mut NamedSender> => Option<&'a mut NamedSender>, Option<&'a mut Found> => Option<&'a mut Found>, Option<&'a mut Received> => Option<&'a mut Received>,
}

fn declarations() -> String {
    type Fos<'a> = Option<&'a mut Process>;
    type Clock<'a> = Option<&'a Process>;
    type Own<'a> = Option<&'a Mailbox>;
    let lines: &[String] = &[
        declaration!(fos_status_name(Status) -> *const c_char),
        declaration!(fos_identity(Clock) -> u64),
        declaration!(fos_core(Clock) -> u32),
        declaration!(fos_now(Clock) -> u64),
        declaration!(fos_after(Clock, u64) -> u64),
        declaration!(fos_mailbox_create(Fos, usize, usize, Option<&mut *mut Mailbox>) -> Status),
        declaration!(fos_mailbox_destroy(Fos, *mut Mailbox) -> Status),
        declaration!(fos_mailbox_key(Own, u32, u64, Option<&mut Key>) -> Status),
        declaration!(fos_key_revoke(Own, Option<&Key>) -> Status),
        declaration!(
            fos_receive(Option<&mut Mailbox>, *mut Any, usize, Option<&mut Received>, u64) -> Status
        ),
        declaration!(fos_select(*const Option<&Mailbox>, usize, u64, Option<&mut u32>) -> Status),
        declaration!(fos_watch(Own, Option<&Key>, u64) -> Status),
        declaration!(fos_try_send(Option<&Key>, *const Any, usize) -> Status),
        declaration!(fos_send(Clock, Option<&Key>, *const Any, usize, u64) -> Status),
        declaration!(fos_register(Fos, *const c_char, Option<&Key>, u64) -> Status),
        declaration!(fos_look_up(Fos, *const c_char, Option<&mut Found>, u64) -> Status),
        declaration!(fos_sender_create(*const c_char, Option<&mut *mut NamedSender>) -> Status),
        declaration!(fos_sender_destroy(*mut NamedSender) -> ()),
        declaration!(fos_sender_send(Fos, Option<&mut NamedSender>, *const Any, usize, u64) -> Status),
        declaration!(fos_write(u32, *const Any, usize) -> Status),
    ];
    lines.concat()
}

/// `BadCall` as the header has it: `FOS_BAD_CALL`.
fn constant(name: &str) -> String {
    let parts = name.chars().map(|letter| match letter.is_ascii_uppercase() {
        true => format!("_{letter}"),
        false => letter.to_ascii_uppercase().to_string(),
    });
    format!("FOS{}", parts.collect::<String>())
}

/// C names and their values in Rust.
fn numbers() -> Vec<(String, u64)> {
    let errors = ERRORS.iter().map(|error| (constant(&format!("{error:?}")), *error as u64));
    let own = OWN_NAMES.iter().zip(Status::NO_FRAMES.0..);
    let own = own.map(|(name, number)| (constant(name.to_str().unwrap()), u64::from(number)));
    let size = |name: &str, size: usize| (format!("sizeof({name})"), size as u64);
    let at = |of: &str, field: &str, at: usize| (format!("offsetof({of}, {field})"), at as u64);
    let (key, address, message, notice) =
        ("struct fos_key", "struct fos_address", "struct fos_message", "struct fos_notice");
    let layouts = [
        size(key, size_of::<Key>()),
        at(key, "mailbox", offset_of!(Key, mailbox)),
        at(key, "entry", offset_of!(Key, entry)),
        at(key, "machine", offset_of!(Key, machine)),
        at(key, "secret", offset_of!(Key, secret)),
        size(address, size_of::<Found>()),
        at(address, "key", offset_of!(Found, key)),
        at(address, "identity", offset_of!(Found, identity)),
        size(message, size_of::<Received>()),
        at(message, "length", offset_of!(Received, length)),
        at(message, "sender", offset_of!(Received, sender)),
        at(message, "badge", offset_of!(Received, badge)),
        at(message, "kind", offset_of!(Received, kind)),
        at(message, "reserved", offset_of!(Received, reserved)),
        size(notice, size_of::<Notice>()),
        at(notice, "what", offset_of!(Notice, what)),
        at(notice, "detail", offset_of!(Notice, detail)),
        size("fos_status", size_of::<Status>()),
        size("((struct fos_key *)0)->entry", size_of::<u32>()),
    ];
    let limits: [(&str, u64); 24] = [
        ("FOS_DONE", Status::DONE.0.into()),
        ("FOS_MESSAGE_MAX", mailbox::MESSAGE_MAX as u64),
        ("FOS_SELECT_MAX", WAIT_MAX as u64),
        ("FOS_NAME_MAX", NAME_MAX as u64),
        ("FOS_PATH_MAX", PATH_BYTES_MAX as u64),
        ("FOS_SLOTS_MIN", mailbox::SLOTS_MIN as u64),
        ("FOS_SLOTS_MAX", mailbox::SLOTS_MAX as u64),
        ("FOS_KEYS_MIN", mailbox::KEYS_MIN as u64),
        ("FOS_KEYS_MAX", mailbox::KEYS_MAX as u64),
        ("FOS_SEND", KeyRights::SEND.0.into()),
        ("FOS_ATTACH", KeyRights::ATTACH.0.into()),
        ("FOS_RING", KeyRights::RING.0.into()),
        ("FOS_DERIVE", KeyRights::DERIVE.0.into()),
        ("FOS_WATCH", KeyRights::WATCH.0.into()),
        ("FOS_MESSAGE_DATA", MessageKind::Data as u64),
        ("FOS_MESSAGE_ENDED", MessageKind::Ended as u64),
        ("FOS_MESSAGE_INTERRUPT", MessageKind::Interrupt as u64),
        ("FOS_MESSAGE_FAULT", MessageKind::Fault as u64),
        ("FOS_MESSAGE_OTHER", OTHER.into()),
        ("FOS_NEVER", Deadline::NEVER.0),
        ("FOS_AT_ONCE", Deadline::PASSED.0),
        ("FOS_OUT", OUT.into()),
        ("FOS_ERROR_STREAM", ERROR.into()),
        ("FOS_CONSOLE", CONSOLE.into()),
    ];
    let limits = limits.into_iter().map(|(name, value)| (name.to_string(), value));
    errors.chain(own).chain(layouts).chain(limits).collect()
}

/// What the C compiler says of a program.
fn compiled(program: &str) -> Result<(), String> {
    compiled_with(program, &["-ffreestanding", "-fsyntax-only"])
}

fn compiled_with(program: &str, flags: &[&str]) -> Result<(), String> {
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/include");
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-Wall", "-Wextra", "-Werror", include]).args(flags).args(["-xc", "-"]);
    let compiler = compiler.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut running = compiler.spawn().expect("the tests of the header need a C compiler: install gcc");
    running.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    let said = running.wait_with_output().unwrap();
    if said.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said.stderr).into_owned()) }
}

fn asserts(numbers: &[(String, u64)]) -> String {
    let assert = |(name, value): &(String, u64)| format!("_Static_assert({name} == {value}u, \"{name}\");\n");
    numbers.iter().map(assert).collect()
}

#[test]
fn the_header_declares_the_functions_of_the_library() {
    let exit = "_Noreturn void fos_exit(uint8_t);\n";
    let _: extern "C" fn(u8) -> ! = fos_exit;
    assert_eq!(compiled(&format!("#include <fos.h>\n{}{exit}", declarations())), Ok(()));
}

#[test]
fn the_header_has_the_numbers_and_layouts_of_the_library() {
    assert_eq!(compiled(&format!("#include <fos.h>\n{}", asserts(&numbers()))), Ok(()));
}

#[test]
fn a_header_that_differs_is_noticed() {
    let other = declarations().replacen("uint64_t fos_now", "uint32_t fos_now", 1);
    assert!(compiled(&format!("#include <fos.h>\n{other}")).is_err());
    let mut numbers = numbers();
    for place in 0..numbers.len() {
        numbers[place].1 ^= 1;
        let name = numbers[place].0.clone();
        assert!(
            compiled(&format!("#include <fos.h>\n{}", asserts(&numbers[place..=place]))).is_err(),
            "{name}"
        );
    }
}

/// Functions that the header declares and this crate defines: each has its declaration above, so none is forgotten.
#[test]
fn every_function_of_the_header_is_compared() {
    let header = include_str!("../include/fos.h");
    let code: Vec<&str> =
        header.lines().filter(|line| line.contains(" fos_") || line.contains("*fos_")).collect();
    let named = |line: &str| {
        let before = line.split_once('(')?.0;
        let name = before.rsplit([' ', '*']).next()?;
        (name.starts_with("fos_") && !line.starts_with([' ', '/', '#'])).then(|| name.to_string())
    };
    let declared: Vec<String> = code.iter().filter_map(|line| named(line)).collect();
    let known = declarations() + "fos_main( fos_exit( fos_printf(";
    let forgotten: Vec<&String> =
        declared.iter().filter(|name| !known.contains(&format!("{name}("))).collect();
    assert!(declared.len() > 15 && forgotten.is_empty(), "{forgotten:?}");
}

#[test]
fn every_status_has_its_name() {
    let name = |number| {
        // SAFETY: the answer is one of the library's static strings.
        unsafe { core::ffi::CStr::from_ptr(fos_status_name(Status(number))) }.to_str().unwrap()
    };
    for error in ERRORS {
        assert_eq!(name(error as u32), format!("{error:?}"));
    }
    assert_eq!([name(0), name(64), name(67)], ["Done", "NoFrames", "BadName"]);
    assert_eq!([name(25), name(63), name(68), name(u32::MAX)], ["Unknown"; 4]);
    assert_eq!(EndReason::CoreFailed as u64, 3, "the header tells the reasons in words");
}

#[test]
fn null_pointers_are_errors() {
    let bad = Status::from(Error::BadAddress);
    let key = Key::default();
    let mut nowhere = core::ptr::null_mut();
    // SAFETY: null pointers are not followed, and where there is none the lengths are 0.
    unsafe {
        assert_eq!(fos_try_send(None, core::ptr::null(), 0), bad);
        assert_eq!(fos_try_send(Some(&key), core::ptr::null(), 1), bad);
        assert_eq!(fos_send(None, Some(&key), core::ptr::null(), 0, 0), bad);
        assert_eq!(fos_receive(None, core::ptr::null_mut(), 0, Some(&mut Received::default()), 0), bad);
        assert_eq!(fos_select(core::ptr::null(), 1, 0, Some(&mut 0)), bad);
        assert_eq!(fos_select(&None, 1, 0, Some(&mut 0)), bad);
        assert_eq!(fos_select(&None, 0, 0, Some(&mut 0)), Error::BadArgument.into());
        assert_eq!(fos_select(&None, WAIT_MAX + 1, 0, Some(&mut 0)), Error::BadArgument.into());
        assert_eq!(fos_mailbox_destroy(None, core::ptr::null_mut()), bad);
        assert_eq!(fos_register(None, c"name".as_ptr(), Some(&key), 0), bad);
        assert_eq!(fos_look_up(None, c"name".as_ptr(), Some(&mut Found::default()), 0), bad);
        let mut sender = core::ptr::null_mut();
        assert_eq!(fos_sender_create(core::ptr::null(), Some(&mut sender)), bad);
        assert_eq!(fos_sender_create(c"".as_ptr(), Some(&mut sender)), Status::BAD_NAME);
        assert_eq!(fos_sender_create(c"name".as_ptr(), None), bad);
        assert_eq!(fos_sender_create(c"name".as_ptr(), Some(&mut sender)), Status::DONE);
        assert_eq!(fos_sender_send(None, sender.as_mut(), core::ptr::null(), 0, 0), bad);
        fos_sender_destroy(sender);
        fos_sender_destroy(core::ptr::null_mut());
        assert_eq!(fos_write(OUT, core::ptr::null(), 1), bad);
    }
    assert_eq!(fos_mailbox_create(None, 64, 16, Some(&mut nowhere)), bad);
    assert_eq!(fos_mailbox_key(None, 1, 0, Some(&mut Key::default())), bad);
    assert_eq!(fos_key_revoke(None, Some(&key)), bad);
    assert_eq!(fos_watch(None, Some(&key), 0), bad);
    assert_eq!([fos_identity(None), fos_now(None), fos_after(None, 1)], [0; 3]);
}

/// `print.c` as a program of the host, which writes to its output.
const PRINTS: &str = r#"
#include "../print.c"
long write(int, const void *, unsigned long);
fos_status fos_write(uint32_t stream, const void *bytes, size_t length)
{
    return write(1, bytes, length) == (long)length && stream == FOS_OUT ? FOS_DONE : FOS_FULL;
}
#pragma GCC diagnostic ignored "-Wformat"
#pragma GCC diagnostic ignored "-Wformat-extra-args"
int main(void)
{
    static char long_text[2000];
    for (size_t at = 0; at < sizeof long_text - 1; at++)
        long_text[at] = 'x';
    fos_printf("%d %i %u %x|", -2147483647 - 1, 7, 4294967295u, 0xbeefu);
    fos_printf("%ld %lu %llx %zu|", (long)INT64_MIN, UINT64_MAX, (unsigned long long)UINT64_MAX, (size_t)0);
    fos_printf("%s%c%% %p %s|", "a", 'b', (void *)0x10, (const char *)0);
    fos_printf("%q %5d %|", 1);
    fos_printf("%");
    fos_printf("|");
    fos_printf("%s|", long_text);
}
"#;

#[test]
fn text_is_formatted_as_the_header_says() {
    let program = std::env::temp_dir().join(format!("fos-printf-{}", std::process::id()));
    let include = concat!("-I", env!("CARGO_MANIFEST_DIR"), "/src");
    let built = compiled_with(PRINTS, &[include, "-o", program.to_str().unwrap()]);
    assert_eq!(built, Ok(()));
    let said = Command::new(&program).output();
    let _ = std::fs::remove_file(&program);
    let output = String::from_utf8(said.unwrap().stdout).unwrap();
    let longest = "x".repeat(mailbox::MESSAGE_MAX);
    let expected = [
        "-2147483648 7 4294967295 beef",
        "-9223372036854775808 18446744073709551615 ffffffffffffffff 0",
        "ab% 0x10 (null)",
        "%q %5d %",
        "%",
        &longest,
    ];
    assert_eq!(output, expected.join("|"));
}
