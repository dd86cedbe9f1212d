//! A member of naming, put together: the first of a fleet, or one that joins. It serves from the moment its replica may
//! answer; before that it says `NotNow`.

use crate::keeper::Keeper;
use crate::limits::LIMITS;
use crate::record::{Place, Record};
use crate::replication::Replication;
use crate::server::{ASSUMED, Server, Unanswered};
use crate::service::{PeerService, Service};
use alloc::rc::Rc;
use core::time::Duration;
use fos_messages::names::{
    DirectoryKey, NameError, NamePeersClient, NamePeersDispatcher, NamesDispatcher, Peer,
};
use fos_messages::rpc::{Address, CallError};
use fos_replicated_map::{Identity, Member, Operation};
use fos_runtime::Runtime;
use fos_runtime::port::Class;

/// How long a joiner waits for a sponsor to introduce it.
const INTRODUCTION_WITHIN: Duration = Duration::from_secs(2);

/// One member.
pub struct Naming {
    /// Its copy of the map.
    pub replication: Rc<Replication>,
    /// What it answers.
    pub server: Rc<Server>,
    _keeper: Rc<Keeper>,
}

impl Naming {
    /// The first member: `/` is made with this key.
    pub async fn first(runtime: Runtime, me: Member, root_key: DirectoryKey) -> Result<Naming, Unanswered> {
        let naming = Naming::assemble(&runtime, Replication::first(runtime.clone(), me, LIMITS));
        let address = runtime.port().address(Class::Internal);
        let insert = Operation::Insert {
            key: Place::Peer(me.machine.0, me.number),
            value: Record::Peer(address),
            owner: Identity(address.identity.0),
        };
        naming.replication.own_update(insert).await?;
        naming.server.make_root(root_key).await?;
        Ok(naming)
    }

    /// A member that joins those whose internal mailboxes it was told: the first of them that answers introduces it.
    pub async fn join(
        runtime: Runtime,
        me: Member,
        sponsors: &[(Member, Address)],
    ) -> Result<Naming, CallError<NameError>> {
        let address = runtime.port().address(Class::Internal);
        let own = Peer { machine: me.machine.0, number: me.number, address };
        let mut outcome = Err(CallError::NotNow);
        for (place, (_, address)) in sponsors.iter().enumerate() {
            let sponsor = NamePeersClient::new(runtime.within(INTRODUCTION_WITHIN), *address);
            match sponsor.introduce(own).await {
                Ok(peers) => {
                    let able = &sponsors[place..];
                    let replication = Replication::joining(runtime.clone(), me, able, LIMITS);
                    for peer in peers {
                        replication.introduce(Member::new(peer.machine, peer.number), peer.address);
                    }
                    return Ok(Naming::assemble(&runtime, replication));
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    fn assemble(runtime: &Runtime, replication: Rc<Replication>) -> Naming {
        let server = Server::new(replication.clone(), ASSUMED);
        let keeper = {
            // The server has the replica, which must not keep it in turn: neither would ever be dropped.
            let server = Rc::downgrade(&server);
            Keeper::begin(runtime.clone(), replication.clone(), move |event| {
                if let Some(server) = server.upgrade() {
                    server.hear(event);
                }
            })
        };
        runtime.serve(Class::Internal, NamePeersDispatcher::new(Rc::new(PeerService(replication.clone()))));
        runtime.serve(Class::External, NamesDispatcher::new(Rc::new(Service(server.clone()))));
        Naming { replication, server, _keeper: keeper }
    }
}
