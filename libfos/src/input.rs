//! A program's standard input: what whoever runs it from the host types or pipes. Root has it, and is asked for the next of it.

use alloc::vec::Vec;
use core::time::Duration;

use fos_abi::Key;
use fos_abi::key::KeyRights;
use fos_abi::mailbox::{KEYS_MIN, SLOTS_MIN};
use fos_messages::start::{FromRoot, Start, ToRoot};

use crate::mailbox::Mailbox;
use crate::memory::Memory;
use crate::root::{Root, RootError};

/// How long root's mailbox may be full.
const ROOT_WITHIN: Duration = Duration::from_secs(5);

/// The program's only one: two would take each other's.
#[derive(Debug)]
pub struct Input {
    root: Root,
    answers: Mailbox,
    answer: Key,
    is_asked: bool,
    has_ended: bool,
}

impl Input {
    /// Makes a mailbox for what comes.
    pub fn of_program(memory: &mut Memory, start: &Start) -> Result<Input, RootError> {
        let root = Root::of_program(start)?;
        let answers = Mailbox::create(memory, SLOTS_MIN, KEYS_MIN)?;
        let answer = answers.key(KeyRights::SEND, 0)?;
        Ok(Input { root, answers, answer, is_asked: false, has_ended: false })
    }

    /// What has come; none: nothing yet, look again. Empty: the input has ended, and whoever asks again is told so again.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, RootError> {
        if self.has_ended {
            return Ok(Some(Vec::new()));
        }
        if !self.is_asked {
            let deadline = self.root.clock.after(ROOT_WITHIN);
            self.root.tell(&ToRoot::Read { answer: self.answer.into() }, deadline)?;
            self.is_asked = true;
        }
        let Some(message) = self.answers.take() else { return Ok(None) };
        // Nobody else has the key.
        let Ok(FromRoot::Input { bytes }) = FromRoot::decode(message.bytes()) else { return Ok(None) };
        self.is_asked = false;
        self.has_ended = bytes.is_empty();
        Ok(Some(bytes))
    }
}
