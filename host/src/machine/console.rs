//! The console of a machine: bytes to lines, addresses to functions, every line kept for failure reports and shown
//! to whoever wants to see it.

use super::{Event, symbols::Symbols};
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Who sees the lines as they come.
pub type Show = Option<Box<dyn FnMut(&str) + Send>>;

/// Lines kept; older ones are dropped.
const LINES_MAX: usize = 65_536;
/// A longer line is cut in two.
const LINE_BYTES_MAX: usize = 4096;

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<String>,
    ended: bool,
}

/// What a console said so far.
#[derive(Clone, Debug)]
pub struct Console {
    kept: Arc<(Mutex<Kept>, Condvar)>,
}

impl Console {
    pub(super) fn listen(
        port: UnixStream,
        symbols: BTreeMap<String, PathBuf>,
        show: Show,
        events: Sender<Event>,
    ) -> Console {
        let console = Console { kept: Arc::default() };
        let writer = console.clone();
        std::thread::spawn(move || writer.read(port, &Symbols::new(symbols), show, &events));
        console
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, mut port: UnixStream, symbols: &Symbols, mut show: Show, events: &Sender<Event>) {
        let mut pending = Vec::new();
        let mut buffer = [0; 4096];
        let mut deliver = |line: &[u8]| {
            let line = String::from_utf8_lossy(line).trim_end_matches('\r').to_owned();
            for line in symbols.resolve(line) {
                self.keep(&line);
                if let Some(show) = &mut show {
                    show(&line);
                }
                let _ = events.send(Event::Console(line));
            }
        };
        while let Ok(length @ 1..) = port.read(&mut buffer) {
            for byte in &buffer[..length] {
                if *byte == b'\n' || pending.len() == LINE_BYTES_MAX {
                    deliver(&pending);
                    pending.clear();
                }
                if *byte != b'\n' {
                    pending.push(*byte);
                }
            }
        }
        if !pending.is_empty() {
            deliver(&pending);
        }
        self.lock().ended = true;
        self.kept.1.notify_all();
    }

    fn keep(&self, line: &str) {
        let mut kept = self.lock();
        if kept.lines.len() == LINES_MAX {
            kept.lines.drain(..LINES_MAX / 2);
        }
        kept.lines.push(line.to_owned());
    }

    /// Waits until the port has closed and its last line is kept.
    pub fn wait_end(&self, within: Duration) {
        let _ = self.kept.1.wait_timeout_while(self.lock(), within, |kept| !kept.ended);
    }

    /// Every line kept.
    pub fn lines(&self) -> Vec<String> {
        self.lock().lines.clone()
    }

    /// The last line.
    pub fn last(&self) -> Option<String> {
        self.lock().lines.last().cloned()
    }

    /// The last `count` lines.
    pub fn tail(&self, count: usize) -> Vec<String> {
        let kept = self.lock();
        kept.lines[kept.lines.len().saturating_sub(count)..].to_vec()
    }

    /// The first line that holds `text`.
    pub fn find(&self, text: &str) -> Option<String> {
        self.lock().lines.iter().find(|line| line.contains(text)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn bytes_become_lines_whatever_their_pieces() {
        let (mut inside, port) = UnixStream::pair().unwrap();
        let (sender, events) = std::sync::mpsc::channel();
        let console = Console::listen(port, BTreeMap::new(), None, sender);
        for piece in [&b"fos: fir"[..], b"st\r\nsecond\n", b"\xff\n", &[b'x'; LINE_BYTES_MAX + 1], b"\nlast"]
        {
            inside.write_all(piece).unwrap();
        }
        drop(inside);
        console.wait_end(Duration::from_secs(5));
        let lines = console.lines();
        assert_eq!(lines[..3], ["fos: first", "second", "\u{fffd}"]);
        assert_eq!(lines[3..], ["x".repeat(LINE_BYTES_MAX), "x".to_owned(), "last".to_owned()]);
        assert_eq!(events.iter().count(), 6);
        assert_eq!(console.find("sec").as_deref(), Some("second"));
        assert_eq!(console.tail(1), ["last"]);
    }
}
