//! The standard input of programs that the host runs. The host is asked for some when a program reads and root has none, once at
//! a time; what can't be given to who read is kept for the next. A program that nobody runs from the host reads that it has ended.

use alloc::vec::Vec;

use fos_abi::Key;
use fos_messages::control::{INPUT_BYTES_MAX, RequestId, ToHost};
use fos_messages::start::FromRoot;
use libfos::mailbox::Sender;

use crate::program::Number;
use crate::server::Server;

/// What root has of a program's input.
#[derive(Debug, Default)]
pub struct Input {
    /// What came and was not given out. Empty: it has ended.
    kept: Option<Vec<u8>>,
    /// Who waits for more.
    reader: Option<Key>,
    /// Whether the host was asked for more and has not answered.
    is_asked: bool,
}

impl Server {
    /// A program reads.
    pub fn read(&mut self, number: Number, answer: Key) {
        let Some(program) = self.programs.get_mut(number) else { return };
        program.input.reader = Some(answer);
        if program.run.is_none() {
            program.input.kept = Some(Vec::new());
        }
        self.give_input(number);
    }

    /// The host's answer to a read.
    pub fn input(&mut self, id: RequestId, bytes: Vec<u8>) {
        // One that has ended reads no more.
        let Some(number) = self.programs.find(|program| program.run == Some(id)) else { return };
        let Some(program) = self.programs.get_mut(number) else { return };
        if !program.input.is_asked || bytes.len() > INPUT_BYTES_MAX {
            let count = bytes.len();
            return self.talk.say(format_args!("{count} bytes of input that nobody asked for are lost"));
        }
        program.input.is_asked = false;
        program.input.kept = Some(bytes);
        self.give_input(number);
    }

    fn give_input(&mut self, number: Number) {
        let Some(program) = self.programs.get_mut(number) else { return };
        let input = &mut program.input;
        let Some(reader) = input.reader else { return };
        if let Some(bytes) = &input.kept {
            input.reader = None;
            let has_ended = bytes.is_empty();
            let Ok(message) = (FromRoot::Input { bytes: bytes.clone() }).encode() else { return };
            if Sender::new(reader).send(&message).is_ok() && !has_ended {
                input.kept = None;
            }
        } else if !input.is_asked
            && let Some(id) = program.run
        {
            input.is_asked = true;
            self.tell_host(&ToHost::Reads { id });
        }
    }
}
