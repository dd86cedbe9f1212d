//! Names that programs registered, and the keys behind them.

use alloc::string::String;
use alloc::vec::Vec;

use fos_abi::Key;
use fos_messages::start::{KeyBytes, NAME_MAX};

use crate::program::Number;

/// Names that all programs together may register.
const NAMES_MAX: usize = 256;

/// Why a name was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Longer than [`NAME_MAX`] bytes, or empty.
    BadName,
    /// Another program has it.
    Taken,
    /// There are 256 names already.
    TooMany,
}

impl Refusal {
    /// The reason, for people.
    pub fn sentence(self) -> &'static str {
        match self {
            Refusal::BadName => "it is empty or longer than 64 bytes",
            Refusal::Taken => "another program has it",
            Refusal::TooMany => "256 names are registered already",
        }
    }
}

#[derive(Debug)]
struct Name {
    name: String,
    key: KeyBytes,
    owner: Number,
}

/// Who can be found.
#[derive(Debug, Default)]
pub struct Registry {
    names: Vec<Name>,
}

impl Registry {
    /// Registers a name; the same program may replace its key.
    pub fn register(&mut self, owner: Number, name: &str, key: KeyBytes) -> Result<(), Refusal> {
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(Refusal::BadName);
        }
        let full = self.names.len() >= NAMES_MAX;
        match self.names.iter_mut().find(|known| known.name == name) {
            Some(known) if known.owner != owner => return Err(Refusal::Taken),
            Some(known) => known.key = key,
            None if full => return Err(Refusal::TooMany),
            None => self.names.push(Name { name: name.into(), key, owner }),
        }
        Ok(())
    }

    /// How many names there are.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The key behind a name, and who registered it.
    pub fn lookup(&self, name: &str) -> Option<(KeyBytes, Number)> {
        self.names.iter().find(|known| known.name == name).map(|known| (known.key, known.owner))
    }

    /// The key alone.
    pub fn key(&self, name: &str) -> Option<Key> {
        self.lookup(name).map(|(key, _)| Key::from(key))
    }

    /// Whether a program registered anything.
    pub fn has_names_of(&self, owner: Number) -> bool {
        self.names.iter().any(|known| known.owner == owner)
    }

    /// Forgets a name.
    pub fn forget_name(&mut self, name: &str) {
        self.names.retain(|known| known.name != name);
    }

    /// Forgets what a program registered.
    pub fn forget(&mut self, owner: Number) {
        self.names.retain(|known| known.owner != owner);
    }
}
