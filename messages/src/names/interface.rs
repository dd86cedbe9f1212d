//! What naming is asked by everybody, and what its members say to each other.
//!
//! | operation | done twice is as once | refused |
//! |---|---|---|
//! | `look_up` | yes | `NotFound`, `NoMembers` |
//! | `list`, `list_members` | yes | `NotFound` |
//! | `make` | yes, under the same request number | `NotFound`, `BadKey`, `NotYours`, `Exists`, `Full`, `Ended`, `Forgotten` |
//! | `remove` | the same | `NotFound`, `BadKey`, `NotEmpty`, `Changed`, `Full`, `Ended`, `Forgotten` |
//! | `set_policy` | the same | `NotFound`, `BadKey`, `Changed`, `Full`, `Ended`, `Forgotten` |
//! | `register` | the same | `NotFound`, `BadKey`, `NotYours`, `TooLong`, `Exists`, `Full`, `Ended`, `Forgotten` |
//! | `unregister` | the same | `NotFound`, `Full`, `Ended`, `Forgotten` |
//! | `watch` | yes | never |
//! | `describe` | yes | `NotFound` |
//!
//! A member that is behind what the client has seen, or may not answer, says so (`NotNow`): ask another.

use super::{DirectoryKey, Entry, LoadFigure, NameError, News, Path, Policy};
use crate::rpc::wire::Scalar;
use crate::rpc::{Address, interface};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Names in one answer to `list`.
pub const LISTED_MAX: usize = 16;
/// Entries in one answer to `list_members`.
pub const MEMBERS_LISTED_MAX: usize = 2;

/// From where and after what a look-up is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// The highest version in any answer that the client got.
    pub seen: u64,
    /// Its machine.
    pub machine: u16,
    /// Its core there.
    pub core: u16,
    /// What keeps it with one member under [`Policy::Sticky`].
    pub hash: u64,
}

/// What a look-up found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// This member.
    Member(Entry),
    /// Whoever receives there says which.
    Ask(Address),
}

/// What makes a repeated change the same change: numbers go up, and one is used again only to ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar, Serialize, Deserialize)]
pub struct RequestNumber(pub u64);

/// Members in the answer to an introduction.
pub const PEERS_TOLD_MAX: usize = 16;

/// A member of naming, as the members know each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its machine.
    pub machine: u16,
    /// Its number there.
    pub number: u32,
    /// Where the other members write to it.
    pub address: Address,
}

/// What is to be said of a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// By which rule look-ups choose.
    pub policy: Policy,
    /// The version in which the name was made, or its policy set.
    pub version: u64,
    /// The process with whose end it goes; none if it lasts.
    pub owner: Option<u64>,
    /// Registrations, and what each told last of its load: at most [`MEMBERS_LISTED_MAX`].
    pub members: Vec<(Entry, LoadFigure)>,
}

/// Names. Every answer has the version of the map that it is from or made.
#[interface(id = 3, version = 1)]
pub trait Names {
    /// One member of the fleet under a name, by the fleet's policy.
    #[operation(idempotent, answer_max = 512)]
    fn look_up(&self, path: Path, query: Query) -> Result<(Found, u64), NameError>;

    /// The components directly below a name that come after one of them (after none: empty), at most [`LISTED_MAX`].
    #[operation(idempotent, answer_max = 600)]
    fn list(&self, path: Path, after: String, seen: u64) -> Result<(Vec<String>, u64), NameError>;

    /// The registrations under a name of processes after one, at most [`MEMBERS_LISTED_MAX`].
    #[operation(idempotent, answer_max = 800)]
    fn list_members(&self, path: Path, after: u64, seen: u64) -> Result<(Vec<Entry>, u64), NameError>;

    /// Makes a name with a key of its own. `key` is that of the name above. It goes with `owner`, who must be the client:
    /// where it is reached says what is to be watched. Without one it lasts.
    #[operation(idempotent)]
    async fn make(
        &self,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
        own_key: DirectoryKey,
        owner: Option<Address>,
    ) -> Result<u64, NameError>;

    /// Removes a name that has nothing below it.
    #[operation(idempotent)]
    async fn remove(&self, number: RequestNumber, path: Path, key: DirectoryKey) -> Result<u64, NameError>;

    /// Sets by which rule look-ups choose.
    #[operation(idempotent)]
    async fn set_policy(
        &self,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
        policy: Policy,
    ) -> Result<u64, NameError>;

    /// Registers the client under a name, until it takes it back or ends.
    #[operation(idempotent)]
    async fn register(
        &self,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
        entry: Entry,
    ) -> Result<u64, NameError>;

    /// Takes the client's registration back.
    #[operation(idempotent)]
    async fn unregister(&self, number: RequestNumber, path: Path) -> Result<u64, NameError>;

    /// A member of any fleet tells how loaded it is.
    #[operation(post)]
    fn report(&self, load: LoadFigure);

    /// What changed at a name and below it after a version: answered as soon as something has, or with nothing after
    /// [`NEWS_WITHIN`](super::NEWS_WITHIN). The client asks on from the answer, at any member. Nothing of it is kept here
    /// between two questions, so nothing is lost with a member, or by who asks late: changes that are no longer
    /// remembered are told as `look_again`. A member that has as many watches as it can answers `NotNow`.
    #[operation(idempotent, answer_max = 960)]
    async fn watch(&self, path: Path, since: u64) -> Result<News, NameError>;

    /// What is to be said of a name, with the registrations of processes after one.
    #[operation(idempotent, answer_max = 900)]
    fn describe(&self, path: Path, after: u64, seen: u64) -> Result<(Description, u64), NameError>;
}

/// Between members of naming, over internal mailboxes.
#[interface(id = 4, version = 1)]
pub trait NamePeers {
    /// A fragment of a message of the replicated map.
    #[operation(post)]
    fn say(&self, fragment: Vec<u8>);

    /// A new member says who it is and where it is written to; when this is answered every member knows. The answer
    /// says where the members are, at most [`PEERS_TOLD_MAX`]; the others follow with the map. Refused: `NotYours` for
    /// another process, `Exists` for a member that somebody else is, `Ended`, `Full`.
    #[operation(idempotent, answer_max = 900)]
    async fn introduce(&self, peer: Peer) -> Result<Vec<Peer>, NameError>;
}
