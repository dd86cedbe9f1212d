//! Descriptions that must be accepted, and those that must be refused with the right bytes underlined.

use super::*;
use alloc::vec;
use proptest::prelude::*;

const GOOD: &str = r#"
name = "hello"
description = "Two programs talk."
cores = 4
memory = "256M"
default = [["busybox", "echo", "hello"]]

[[program]]
name = "serial"
crate = "fos-serial"
core = 3
start = "boot"
capabilities = ["console", "control", "ports:0x3f8+8", "interrupt:4", "frames:1M", "device:0xfeb00000+4K"]

[[program]]
name = "left"
crate = "fos-hello"
file = "hello"
core = 1
start = "oneshot"
arguments = ["left"]

[[program]]
name = "right"
crate = "fos-hello"
file = "hello"
core = 2

[[program]]
name = "busybox"
personality = "linux"

[[file]]
name = "busybox"
package = "busybox-static"
path = "/bin/busybox"
"#;

/// The message, and the text it underlines, of `GOOD` with `from` replaced by `to`.
fn refusal(from: &str, to: &str) -> (String, String) {
    assert!(GOOD.contains(from), "the good description holds no {from:?}");
    let text = GOOD.replacen(from, to, 1);
    let error = Image::parse(&text).expect_err("the changed description must be refused");
    (error.message, text[error.span.expect("every refusal has a span")].to_string())
}

#[test]
fn a_good_description_is_read_whole() {
    let image = Image::parse(GOOD).unwrap();
    assert_eq!((image.name.as_str(), image.cores, image.memory_bytes), ("hello", 4, 256 << 20));
    let serial = image.program("serial").unwrap();
    assert_eq!(serial.package.as_deref(), Some("fos-serial"));
    assert_eq!(serial.start, Start::Boot);
    assert_eq!(
        serial.capabilities,
        [
            Capability::Console,
            Capability::Control,
            Capability::Ports { first: 0x3f8, count: 8 },
            Capability::Interrupt(4),
            Capability::Frames(1 << 20),
            Capability::Device { start: 0xfeb0_0000, length: 4096 },
        ]
    );
    let busybox = image.program("busybox").unwrap();
    assert_eq!((busybox.personality, busybox.start), (Personality::Linux, Start::Request));
    let left = image.program("left").unwrap();
    assert_eq!((left.file(), left.start), ("hello", Start::OneShot));
    assert_eq!(image.default, [vec!["busybox", "echo", "hello"]]);
    assert_eq!(image.files[0].path, "/bin/busybox");
}

#[test]
fn refusals_say_what_and_underline_where() {
    let cases = [
        ("cores = 4", "cores = 0", "cores = 0 is not within", "0"),
        ("cores = 4", "cores = 256", "cores = 256 is not within", "256"),
        ("\"256M\"", "\"lots\"", "memory is not a size", "\"lots\""),
        ("\"interrupt:4\"", "\"interrupt:four\"", "is no capability", "\"interrupt:four\""),
        ("ports:0x3f8+8", "ports:0xfffe+3", "is no capability", "\"ports:0xfffe+3\""),
        ("frames:1M", "frames:100", "is no capability", "\"frames:100\""),
        ("\"busybox\", \"echo\"", "\"bash\", \"echo\"", "is no program", "[\"bash\", \"echo\", \"hello\"]"),
        ("[[\"busybox\", \"echo\", \"hello\"]]", "[[]]", "default command is empty", "[]"),
    ];
    for (from, to, message, underlined) in cases {
        let (said, where_) = refusal(from, to);
        assert!(said.contains(message), "{to}: said {said:?}");
        // Inside a list toml underlines the whole list.
        assert!(
            where_ == underlined || where_.contains(underlined) && where_.starts_with("[\""),
            "{to}: {where_}"
        );
    }
}

#[test]
fn root_keeps_as_much_as_is_said_and_less_than_there_is() {
    let with = |text: &str| format!("memory = \"256M\"\nroot-memory = {text}");
    let of = |text: &str| {
        Image::parse(&GOOD.replacen("memory = \"256M\"", &with(text), 1)).map(|image| image.root_memory_bytes)
    };
    assert_eq!(Image::parse(GOOD).unwrap().root_memory_bytes, None);
    assert_eq!(of("\"64M\"").unwrap(), Some(64 << 20));
    assert_eq!(of("\"0x1000\"").unwrap(), Some(4096));
    assert_eq!(of("\"262143K\"").unwrap(), Some((256 << 20) - 1024));
    for wrong in ["\"256M\"", "\"1G\"", "\"-1M\"", "\"64MB\"", "\"\"", "\"99999999999999999999G\""] {
        let (message, underlined) = refusal("memory = \"256M\"", &with(wrong));
        assert!(message.starts_with("root-memory is not a size"), "{message}");
        assert_eq!(underlined, wrong);
    }
    assert!(of("64").is_err(), "a number without quotes");
}

#[test]
fn what_crosses_tables_is_checked() {
    let cases = [
        ("name = \"right\"", "name = \"left\"", "two programs are named \"left\""),
        ("core = 3", "core = 4", "program \"serial\" wants core 4 of 4"),
        ("crate = \"fos-serial\"\n", "", "program \"serial\" has neither a crate nor C files"),
        ("crate = \"fos-serial\"\n", "c = \"apps/../x\"\n", "which is not below the tree"),
        ("crate = \"fos-serial\"\n", "crate = \"x\"\nc = \"x\"\n", "program \"serial\" has more than one"),
        ("personality = \"linux\"", "crate = \"fos-hello\"", "program \"busybox\" has more than one"),
        ("package = \"busybox-static\"\npath = \"/", "package = \"x\"\npath = \"", "is not absolute"),
        ("[[file]]\nname = \"busybox\"", "[[file]]\nname = \"root\"", "already holds a file named \"root\""),
        ("name = \"serial\"", "name = \"se rial\"", "is not a name"),
        ("name = \"serial\"", "name = \"posix\"", "is not for programs"),
        ("name = \"right\"\ncrate = \"fos-hello\"", "name = \"right\"\ncrate = \"x\"", "not its source"),
        ("start = \"boot\"", "start = \"now\"", "unknown variant `now`"),
        ("core = 3", "cor = 3", "unknown field `cor`"),
    ];
    for (from, to, message) in cases {
        let (said, _) = refusal(from, to);
        assert!(said.contains(message), "{to}: said {said:?}");
    }
}

#[test]
fn sizes() {
    assert_eq!(parse_bytes("0x10K"), Some(16 << 10));
    assert_eq!(parse_bytes("1G"), Some(1 << 30));
    for bad in ["", "K", "-1", "+1", "1.5M", "99999999999G", "0x", "1KK"] {
        assert_eq!(parse_bytes(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}") {
        let _ = Image::parse(&text);
    }

    #[test]
    fn any_capability_text_is_survived(text in "[a-z]{0,9}:?[0-9a-fx+KMG]{0,24}") {
        let _ = Capability::try_from(text);
    }
}

#[test]
fn the_images_of_this_repository_are_good() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../images");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let image = Image::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(path.file_stem().unwrap().to_str(), Some(image.name.as_str()));
        seen += 1;
    }
    assert!(seen >= 4, "images/ holds {seen} descriptions");
}

const FLEET: &str = r#"
[[fleet]]
name = "/demo"
program = "left"
members_min = 2
members_max = 4
shrink_below_us = 8000
grow_above_us = 23000
"#;

/// Why `GOOD` with this `[[fleet]]`, changed so, is refused.
fn fleet_refusal(from: &str, to: &str) -> String {
    assert!(FLEET.contains(from), "the good fleet holds no {from:?}");
    let error = Image::parse(&format!("{GOOD}{}", FLEET.replacen(from, to, 1))).expect_err("must be refused");
    assert!(error.span.is_some(), "every refusal has a span: {error}");
    error.message
}

#[test]
fn a_fleet_that_says_little_gets_what_is_usual() {
    let image = Image::parse(&format!("{GOOD}{FLEET}")).unwrap();
    let [policy] = &image.fleets[..] else { panic!("one fleet: {:?}", image.fleets) };
    assert_eq!((policy.members_min, policy.members_max, policy.grow_above_us), (2, 4, 23_000));
    assert_eq!((policy.beat_ms, policy.silent_after_ms_min, policy.silent_after_ms_max), (100, 300, 3000));
    assert_eq!(Policy::from_words(&policy.to_words()).as_ref(), Some(policy));
    let environment = [("LANG", "C".into()), (VARIABLE, policy.to_words()), (VARIABLE, "no policy".into())]
        .map(|(name, words): (&str, String)| (name.to_string(), words));
    assert_eq!(Policy::all(&environment), core::slice::from_ref(policy));
}

#[test]
fn a_fleet_that_cannot_be_is_refused_with_the_reason() {
    for (from, to, found) in [
        ("members_min", "membersmin", "unknown field `membersmin`"),
        ("members_max = 4\n", "", "missing field `members_max`"),
        ("members_max = 4", "members_max = \"4\"", "invalid type"),
        ("members_max = 4", "members_max = 1", "members_max = 1 of fleet \"/demo\" is not within 2 to 128"),
        ("members_min = 2", "members_min = 0", "members_min = 0 of fleet \"/demo\" is not within 1 to 128"),
        ("23000", "8000", "grow_above_us = 8000 of fleet \"/demo\" is not within 8001 to"),
        (
            "23000",
            "23000\nbeat_ms = 200",
            "silent_after_ms_min = 300 of fleet \"/demo\" is not within 400 to",
        ),
        ("/demo", "demo", "\"demo\" is no name of a fleet: a name begins with `/`"),
        ("/demo", "/", "a fleet is not named \"/\""),
        ("\"left\"", "\"nobody\"", "program \"nobody\" of fleet \"/demo\" is no program of this image"),
    ] {
        let message = fleet_refusal(from, to);
        assert!(message.contains(found), "{message:?} instead of {found:?}");
    }
    let twice = Image::parse(&format!("{GOOD}{FLEET}{FLEET}")).unwrap_err();
    assert_eq!(twice.message, "two fleets are named \"/demo\"");
    let many: String =
        (0..=FLEETS_MAX).map(|number| FLEET.replace("/demo", &format!("/demo-{number}"))).collect();
    assert_eq!(Image::parse(&format!("{GOOD}{many}")).unwrap_err().message, "an image has at most 16 fleets");
}
