//! Text to people: [`print!`](crate::print) and [`println!`](crate::println) to the program's output,
//! [`eprintln!`](crate::eprintln) to its error stream, [`log!`](crate::log) to the machine's console.
//!
//! Each call formats into one buffer of [`MESSAGE_MAX`] bytes, so a line that fits is one message and is not mixed with
//! another program's. When the receiver is full the printer waits, but not for ever: text that can't be delivered within
//! [`PATIENCE`] is dropped, because a program must not stand still for want of a reader.

use alloc::boxed::Box;
use core::fmt::{self, Write};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use core::time::Duration;

use fos_abi::{Error, Key};
use fos_messages::start::{Start, key_name};

use crate::clock::Clock;
use crate::mailbox::{MESSAGE_MAX, Sender};

/// How long a full receiver is waited for, per message.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Where text can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The program's standard output; the console, if it has none.
    Out,
    /// The program's standard error; its output, if it has none.
    Error,
    /// The machine's console.
    Console,
}

/// What the streams lead to.
struct Streams {
    out: Option<Sender>,
    error: Option<Sender>,
    console: Option<Sender>,
    clock: Clock,
}

/// Set by [`open`] and [`use_console`]. What it points to is never freed.
static STREAMS: AtomicPtr<Streams> = AtomicPtr::new(ptr::null_mut());

/// Opens the streams that a start block names.
pub fn open(start: &Start) {
    let sender = |name| start.key(name).map(Sender::new);
    let console = sender(key_name::CONSOLE);
    let out = sender(key_name::OUT).or(console);
    let error = sender(key_name::ERROR).or(out);
    set(Streams { out, error, console, clock: Clock::new(start.tsc_hz) });
}

/// Sends all streams to one mailbox from now on. The root program does this when the console has registered. Each call
/// keeps a few bytes for good.
pub fn use_console(key: Key, clock: Clock) {
    let sender = Some(Sender::new(key));
    set(Streams { out: sender, error: sender, console: sender, clock });
}

fn set(streams: Streams) {
    STREAMS.store(Box::leak(Box::new(streams)), Ordering::Release);
}

fn streams() -> Option<&'static Streams> {
    // SAFETY: null, or leaked by `set` and so there for good.
    unsafe { STREAMS.load(Ordering::Acquire).as_ref() }
}

/// A text on its way to a stream; sent when it is full, and when it is dropped.
pub struct Text {
    to: Sender,
    clock: Clock,
    length: usize,
    buffer: [u8; MESSAGE_MAX],
}

impl Text {
    /// Begins a text; `None` if the program has no such stream.
    pub fn to(stream: Stream) -> Option<Text> {
        let streams = streams()?;
        let to = match stream {
            Stream::Out => streams.out,
            Stream::Error => streams.error,
            Stream::Console => streams.console,
        };
        Some(Text { to: to?, clock: streams.clock, length: 0, buffer: [0; MESSAGE_MAX] })
    }

    /// Sends what there is.
    pub fn flush(&mut self) -> Result<(), Error> {
        let length = core::mem::take(&mut self.length);
        if length == 0 {
            return Ok(());
        }
        self.to.send_until(&self.buffer[..length], self.clock, self.clock.after(PATIENCE)).map(|_| ())
    }
}

impl Text {
    /// Puts bytes at the end, and sends what fills a message.
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = &mut self.buffer[self.length..];
            let count = rest.len().min(room.len());
            room[..count].copy_from_slice(&rest[..count]);
            self.length += count;
            rest = &rest[count..];
            if self.length == MESSAGE_MAX {
                self.flush()?;
            }
        }
        Ok(())
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write_bytes(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // Nobody is left to tell: the stream was the place to say so.
        let _ = self.flush();
    }
}

/// What the printing macros call.
#[doc(hidden)]
pub fn print(stream: Stream, arguments: fmt::Arguments<'_>) {
    if let Some(mut text) = Text::to(stream) {
        let _ = text.write_fmt(arguments);
    }
}

/// A text for the message of a panic; only the first panic gets one.
pub(crate) fn last_words() -> Option<Text> {
    static PANICKED: AtomicBool = AtomicBool::new(false);
    if PANICKED.swap(true, Ordering::Relaxed) { None } else { Text::to(Stream::Error) }
}

/// Writes formatted text to the program's output.
#[macro_export]
macro_rules! print {
    ($($argument:tt)*) => {
        $crate::console::print($crate::console::Stream::Out, format_args!($($argument)*))
    };
}

/// Writes a formatted line to the program's output.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($format:literal $($argument:tt)*) => { $crate::print!("{}\n", format_args!($format $($argument)*)) };
}

/// Writes a formatted line to the program's error stream.
#[macro_export]
macro_rules! eprintln {
    ($format:literal $($argument:tt)*) => {
        $crate::console::print(
            $crate::console::Stream::Error,
            format_args!("{}\n", format_args!($format $($argument)*)),
        )
    };
}

/// Writes a formatted line to the machine's console.
#[macro_export]
macro_rules! log {
    ($format:literal $($argument:tt)*) => {
        $crate::console::print(
            $crate::console::Stream::Console,
            format_args!("{}\n", format_args!($format $($argument)*)),
        )
    };
}
