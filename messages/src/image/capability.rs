//! What an image may hand a program, as written in its description.

use super::{parse_bytes, parse_number};
use alloc::format;
use alloc::string::String;
use serde::Deserialize;

/// A right that root gives a program at its start. Written as a string, see each variant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Capability {
    /// `"console"`: send text to the console server.
    Console,
    /// `"control"`: be the server of the control link to the host.
    Control,
    /// `"cores"`: create and control threads on every core.
    Cores,
    /// `"power"`: end the machine.
    Power,
    /// `"fencing"`: have root end any program that was started by `"programs"`, whoever started it.
    Fencing,
    /// `"programs"`: have root start programs of the image, and end those.
    Programs,
    /// `"custody"`: say which frames that root does not keep for itself are whose. For members of the fleet `pages`.
    Custody,
    /// `"tickets"`: have root start programs under tickets, and end whichever were. For members of the fleet `processes`.
    Tickets,
    /// `"fleets"`: learn the keys of the image's fleets from the program that founded them ([`crate::founder`]).
    Fleets,
    /// `"ports:0x3f8+8"`: `count` I/O ports from `first`.
    Ports {
        /// Lowest port.
        first: u16,
        /// How many; `first + count` is at most 65536.
        count: u32,
    },
    /// `"interrupt:4"`: one interrupt line (a global system interrupt, as ACPI numbers them).
    Interrupt(u32),
    /// `"device:0xfeb00000+0x1000"`: device memory, whole pages.
    Device {
        /// Lowest physical address, a multiple of 4096.
        start: u64,
        /// Bytes, a multiple of 4096.
        length: u64,
    },
    /// `"frames:16M"`: that many bytes of memory, whole pages.
    Frames(u64),
}

const PAGE_BYTES: u64 = 4096;

impl TryFrom<String> for Capability {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        parse(&text).ok_or_else(|| {
            format!(
                "{text:?} is no capability; known are \"console\", \"control\", \"cores\", \"power\", \
                 \"fencing\", \"programs\", \"custody\", \"tickets\", \"fleets\", \"ports:0x3f8+8\", \"interrupt:4\", \"device:0xfeb00000+0x1000\" and \"frames:16M\" (whole pages)"
            )
        })
    }
}

fn parse(text: &str) -> Option<Capability> {
    let Some((kind, value)) = text.split_once(':') else {
        return match text {
            "console" => Some(Capability::Console),
            "control" => Some(Capability::Control),
            "cores" => Some(Capability::Cores),
            "power" => Some(Capability::Power),
            "fencing" => Some(Capability::Fencing),
            "programs" => Some(Capability::Programs),
            "custody" => Some(Capability::Custody),
            "tickets" => Some(Capability::Tickets),
            "fleets" => Some(Capability::Fleets),
            _ => None,
        };
    };
    match kind {
        "ports" => ports(value),
        "interrupt" => Some(Capability::Interrupt(parse_number(value)?.try_into().ok()?)),
        "device" => device(value),
        "frames" => Some(Capability::Frames(whole_pages(parse_bytes(value)?)?)),
        _ => None,
    }
}

fn ports(value: &str) -> Option<Capability> {
    let (first, count) = value.split_once('+')?;
    let first: u16 = parse_number(first)?.try_into().ok()?;
    let count: u32 = parse_number(count)?.try_into().ok()?;
    let fits = count > 0 && count <= (1 << 16) - u32::from(first);
    fits.then_some(Capability::Ports { first, count })
}

fn device(value: &str) -> Option<Capability> {
    let (start, length) = value.split_once('+')?;
    let (start, length) = (parse_bytes(start)?, whole_pages(parse_bytes(length)?)?);
    start.checked_add(length)?;
    start.is_multiple_of(PAGE_BYTES).then_some(Capability::Device { start, length })
}

fn whole_pages(bytes: u64) -> Option<u64> {
    (bytes > 0 && bytes.is_multiple_of(PAGE_BYTES)).then_some(bytes)
}
