//! The control link: what the `fos` command on the host and the root program in the guest say to each other, over a
//! second serial port, in the frames of [`crate::frame`].
//!
//! The guest speaks first: after its boot programs are started, root sends [`ToHost::Ready`]. From then on the host
//! may send [`ToGuest`] messages at any time and root answers each as its variant says. Root never waits for the
//! host; the host gives every wait a deadline. Messages are at most once and in order; a frame lost to line noise is
//! lost, and the host's deadline reports it.
//!
//! postcard numbers variants by their order here, so new ones go to the end and [`PROTOCOL_VERSION`] goes up when
//! the meaning of an old one changes.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Told in [`ToHost::Ready`]; the host refuses a guest that tells another.
pub const PROTOCOL_VERSION: u16 = 1;

/// The most payload bytes of one [`ToHost::Output`]; longer writes are split by the sender.
pub const OUTPUT_BYTES_MAX: usize = 32 * 1024;

/// The most bytes of one [`ToGuest::Input`].
pub const INPUT_BYTES_MAX: usize = 768;

/// Names one [`ToGuest::Run`] or [`ToGuest::Query`]; chosen by the host, never reused within a boot.
pub type RequestId = u32;

/// [`ToHost::Output`]'s `stream` of what a program writes to its standard output.
pub const STREAM_OUTPUT: u8 = 1;
/// [`ToHost::Output`]'s `stream` of what a program writes to its standard error.
pub const STREAM_ERROR: u8 = 2;

/// Added to a signal's number in [`ToHost::Exited`]'s `status`, as shells do.
pub const STATUS_SIGNAL_BASE: i32 = 128;

/// From the host to root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToGuest {
    /// Start a program of the image. Answered by [`ToHost::Started`] and later one [`ToHost::Exited`], or by
    /// [`ToHost::Failed`] alone. Several may run at once.
    Run {
        /// Names this run in every answer.
        id: RequestId,
        /// A program's name in the image description, then its arguments; the whole list is the program's `argv`.
        command: Vec<String>,
    },
    /// Tell a part of the system's state. Answered by [`ToHost::State`] or [`ToHost::Failed`].
    Query {
        /// Names this query in its answer.
        id: RequestId,
        /// Which part.
        what: Subject,
    },
    /// End a running command as if by signal 9. Answered by its [`ToHost::Exited`]; nothing if it has ended.
    Kill {
        /// The run to end.
        id: RequestId,
    },
    /// Write `status` to [`fos_abi::exit::EXIT_PORT`], normally [`fos_abi::exit::ORDERLY`]. Not answered: the
    /// machine is gone.
    PowerOff {
        /// The value to write.
        status: u8,
    },
    /// Input for a command, once for each [`ToHost::Reads`] of it. Not answered.
    Input {
        /// The run.
        id: RequestId,
        /// At most [`INPUT_BYTES_MAX`] bytes; none: the input has ended.
        bytes: Vec<u8>,
    },
}

/// From root to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToHost {
    /// Every program with `start = "boot"` is started and commands are taken. Sent once, first.
    Ready {
        /// [`PROTOCOL_VERSION`] of the guest.
        protocol: u16,
        /// How many cores are up.
        cores: u16,
        /// The name in the image description.
        image: String,
    },
    /// The program of this run is running.
    Started {
        /// The run.
        id: RequestId,
    },
    /// The program wrote.
    Output {
        /// The run.
        id: RequestId,
        /// [`STREAM_OUTPUT`] or [`STREAM_ERROR`].
        stream: u8,
        /// What it wrote: at most [`OUTPUT_BYTES_MAX`] bytes, in order per stream, not split at characters.
        bytes: Vec<u8>,
    },
    /// The program ended, and every [`ToHost::Output`] of it was sent before this.
    Exited {
        /// The run.
        id: RequestId,
        /// 0 to 255, or [`STATUS_SIGNAL_BASE`] plus the signal that stands for what ended it.
        status: i32,
    },
    /// The run never started, or the query has no answer.
    Failed {
        /// The run or query.
        id: RequestId,
        /// One sentence for the user: what happened, to whom, what to do.
        reason: String,
    },
    /// The answer to a query.
    State {
        /// The query.
        id: RequestId,
        /// One row per thing asked about.
        rows: Vec<Row>,
    },
    /// The program of this run reads its standard input. Answered by one [`ToGuest::Input`]; not sent again before that.
    Reads {
        /// The run.
        id: RequestId,
    },
}

/// What a [`ToGuest::Query`] asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subject {
    /// One row per core: whether it is up, fenced, and what it counts.
    Cores,
    /// One row per running program of the image.
    Programs,
    /// Frames: free, used, by whom.
    Memory,
}

/// One thing's state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Which thing: `core 2`, a program's name.
    pub name: String,
    /// Named values, in the order to show them. Units are in the name (`cycles`, `free_bytes`).
    pub fields: Vec<(String, Value)>,
}

/// A value in a [`Row`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// A count or measure.
    Number(u64),
    /// Anything else.
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Decoder, encode};
    use alloc::string::ToString;
    use alloc::vec;
    use fos_abi::exit::ORDERLY;

    #[test]
    fn every_message_survives_the_wire() {
        let to_guest = [
            ToGuest::Run { id: 1, command: vec!["busybox".to_string(), "echo".to_string()] },
            ToGuest::Query { id: 2, what: Subject::Memory },
            ToGuest::Kill { id: 1 },
            ToGuest::PowerOff { status: ORDERLY },
            ToGuest::Input { id: 1, bytes: vec![0; INPUT_BYTES_MAX] },
        ];
        let stream: Vec<u8> = to_guest.iter().flat_map(|message| encode(message).unwrap()).collect();
        let decoded: Vec<ToGuest> = Decoder::new().push_all(&stream).map(Result::unwrap).collect();
        assert_eq!(decoded, to_guest);
    }

    #[test]
    fn the_largest_output_fits_a_frame() {
        let output = ToHost::Output { id: u32::MAX, stream: STREAM_OUTPUT, bytes: vec![0; OUTPUT_BYTES_MAX] };
        assert!(encode(&output).is_ok());
    }

    #[test]
    fn the_wire_form_of_a_message_is_fixed() {
        // Variant 3, status 0x10, CRC-32 of those two bytes: a change here breaks guests already built.
        let body = postcard::to_allocvec(&ToGuest::PowerOff { status: ORDERLY }).unwrap();
        assert_eq!(body, [3, 0x10]);
        let ready = ToHost::Ready { protocol: 1, cores: 4, image: "hello".to_string() };
        assert_eq!(postcard::to_allocvec(&ready).unwrap(), b"\x00\x01\x04\x05hello");
    }
}
