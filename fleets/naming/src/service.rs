//! The two conversations of a member: with everybody, and with the other members. Each operation is handed on to what
//! decides it.

use crate::record::{Place, Record, peers};
use crate::replication::Replication;
use crate::server::{Client, Server, Unanswered};
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use fos_messages::names::{
    Description, DirectoryKey, Entry, Found, LoadFigure, NameError, NamePeers, Names, News, PEERS_TOLD_MAX,
    Path, Peer, Policy, Query, RequestNumber,
};
use fos_messages::rpc::{Address, Context, Instead};
use fos_replicated_map::{Identity, Member, Operation, Outcome, Version};

impl From<Unanswered> for Instead<NameError> {
    fn from(unanswered: Unanswered) -> Instead<NameError> {
        match unanswered {
            Unanswered::Refused(error) => Instead::Refused(error),
            Unanswered::NotNow => Instead::NotNow,
        }
    }
}

type Answered<T> = Result<T, Instead<NameError>>;

fn client(context: &Context, number: RequestNumber) -> Client {
    Client { identity: context.sender.0, request: number.0 }
}

fn version(done: Result<Version, Unanswered>) -> Answered<u64> {
    Ok(done?.0)
}

/// What everybody asks.
pub struct Service(pub Rc<Server>);

impl Names for Service {
    fn look_up(&self, _: Context, path: Path, query: Query) -> Answered<(Found, u64)> {
        Ok(self.0.look_up(&path, &query)?)
    }
    fn list(&self, _: Context, path: Path, after: String, seen: u64) -> Answered<(Vec<String>, u64)> {
        Ok(self.0.list(&path, &after, seen)?)
    }
    fn list_members(&self, _: Context, path: Path, after: u64, seen: u64) -> Answered<(Vec<Entry>, u64)> {
        Ok(self.0.list_members(&path, after, seen)?)
    }
    async fn make(
        &self,
        context: Context,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
        own_key: DirectoryKey,
        owner: Option<Address>,
    ) -> Answered<u64> {
        version(self.0.make(client(&context, number), &path, key, own_key, owner).await)
    }
    async fn remove(
        &self,
        context: Context,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
    ) -> Answered<u64> {
        version(self.0.remove(client(&context, number), &path, key).await)
    }
    async fn set_policy(
        &self,
        context: Context,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
        policy: Policy,
    ) -> Answered<u64> {
        version(self.0.set_policy(client(&context, number), &path, key, policy).await)
    }
    async fn register(
        &self,
        context: Context,
        number: RequestNumber,
        path: Path,
        key: DirectoryKey,
        entry: Entry,
    ) -> Answered<u64> {
        version(self.0.register(client(&context, number), &path, key, entry).await)
    }
    async fn unregister(&self, context: Context, number: RequestNumber, path: Path) -> Answered<u64> {
        version(self.0.unregister(client(&context, number), &path).await)
    }
    fn report(&self, context: Context, load: LoadFigure) {
        self.0.report(context.sender.0, load);
    }
    async fn watch(&self, _: Context, path: Path, since: u64) -> Answered<News> {
        Ok(self.0.watch(&path, since).await?)
    }
    fn describe(&self, _: Context, path: Path, after: u64, seen: u64) -> Answered<(Description, u64)> {
        Ok(self.0.describe(&path, after, seen)?)
    }
}

/// What members say to each other.
pub struct PeerService(pub Rc<Replication>);

impl NamePeers for PeerService {
    fn say(&self, context: Context, fragment: Vec<u8>) {
        self.0.hear(context.sender, &fragment);
    }

    async fn introduce(&self, context: Context, peer: Peer) -> Answered<Vec<Peer>> {
        if peer.address.identity != context.sender {
            return Err(Instead::Refused(NameError::NotYours));
        }
        let member = Member::new(peer.machine, peer.number);
        if self.0.address_of(member).is_some_and(|known| known != peer.address) {
            return Err(Instead::Refused(NameError::Exists));
        }
        let insert = Operation::Insert {
            key: Place::Peer(peer.machine, peer.number),
            value: Record::Peer(peer.address),
            owner: Identity(peer.address.identity.0),
        };
        self.0.introduce(member, peer.address);
        match self.0.own_update(insert).await.map_err(Unanswered::from)? {
            (_, Outcome::Done | Outcome::Exists(_)) => {}
            (_, Outcome::Ended) => return Err(Instead::Refused(NameError::Ended)),
            _ => return Err(Instead::Refused(NameError::Full)),
        }
        let map = self.0.read(0).map_err(Unanswered::from)?;
        Ok(peers(&map).filter(|other| other.address != peer.address).take(PEERS_TOLD_MAX).collect())
    }
}
