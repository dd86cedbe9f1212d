//! Names: what `fleets/naming` is asked and answers.

mod entry;
mod error;
mod interface;
mod path;
mod starter;
mod watch;

pub use entry::{DirectoryKey, Entry, LoadFigure, METADATA_BYTES_MAX, METADATA_PAIRS_MAX, Owner, Policy};
pub use error::NameError;
pub use interface::{
    Description, Found, LISTED_MAX, MEMBERS_LISTED_MAX, NamePeers, NamePeersClient, NamePeersDispatcher,
    NamePeersInterface, Names, NamesClient, NamesDispatcher, NamesInterface, PEERS_TOLD_MAX, Peer, Query,
    RequestNumber,
};
pub use path::{COMPONENT_BYTES_MAX, COMPONENTS_MAX, PATH_BYTES_MAX, Path, PathError};
pub use starter::{
    Beginning, NamesStarter, NamesStarterClient, NamesStarterDispatcher, NamesStarterInterface, STARTED_MAX,
    STARTER,
};
pub use watch::{CHANGES_TOLD_MAX, Change, NEWS_WITHIN, News};

/// The name of naming's own members, where its image has a fleet of this name: clients find there who has come since they did.
pub const NAMING: &str = "/naming";
