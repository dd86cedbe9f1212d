//! What a command inside reads: a reader here is asked for some whenever the command asks for more, and not before, so that what
//! nobody reads inside stays where it is. It may take as long as whoever types.

use fos_messages::control::{INPUT_BYTES_MAX, RequestId, ToGuest};
use fos_messages::frame::encode;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

/// The input of one command.
#[derive(Debug)]
pub struct Input {
    asked: Sender<()>,
}

impl Input {
    /// From a reader, for this command. It is read on a thread of its own, which ends with the reader's next answer after this was
    /// dropped, or with the process.
    pub fn from(
        mut reader: impl Read + Send + 'static,
        control: Arc<Mutex<UnixStream>>,
        id: RequestId,
    ) -> Input {
        let (asked, asks) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; INPUT_BYTES_MAX];
            while let Ok(()) = asks.recv() {
                // What can't be read has ended.
                let count = reader.read(&mut buffer).unwrap_or(0);
                if !give(&control, id, &buffer[..count]) {
                    return;
                }
            }
        });
        Input { asked }
    }

    /// The command wants more.
    pub fn read(&self) {
        let _ = self.asked.send(());
    }
}

/// Gives a command input. Whether it went out.
pub fn give(control: &Mutex<UnixStream>, id: RequestId, bytes: &[u8]) -> bool {
    let frame = encode(&ToGuest::Input { id, bytes: bytes.to_vec() });
    let mut control = control.lock().unwrap_or_else(PoisonError::into_inner);
    frame.is_ok_and(|frame| control.write_all(&frame).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fos_messages::frame::Decoder;
    use std::time::Duration;

    fn next(root: &mut UnixStream, decoder: &mut Decoder<ToGuest>) -> ToGuest {
        let mut buffer = [0; 4096];
        loop {
            let length = root.read(&mut buffer).unwrap();
            if let Some(message) = decoder.push_all(&buffer[..length]).next() {
                return message.unwrap();
            }
        }
    }

    #[test]
    fn input_goes_out_piece_by_piece_as_it_is_asked_for_and_then_its_end() {
        let (control, mut root) = UnixStream::pair().unwrap();
        root.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let text = vec![b'x'; INPUT_BYTES_MAX + 1];
        let input = Input::from(std::io::Cursor::new(text), Arc::new(Mutex::new(control)), 7);
        let mut decoder = Decoder::new();
        for length in [INPUT_BYTES_MAX, 1, 0, 0] {
            input.read();
            let expected = ToGuest::Input { id: 7, bytes: vec![b'x'; length] };
            assert_eq!(next(&mut root, &mut decoder), expected);
        }
        root.set_nonblocking(true).unwrap();
        assert!(root.read(&mut [0]).is_err(), "nothing comes that was not asked for");
    }
}
