//! A member of the fleet, put together. It lets clients in when it has the table.

use crate::keeper::Keeper;
use crate::ledger::Ledger;
use crate::limits::Limits;
use crate::server::{Clients, Members};
use crate::starter::Starter;
use alloc::rc::Rc;
use core::time::Duration;
use fos_messages::names::DirectoryKey;
use fos_messages::processes::{ProcessPeersDispatcher, ProcessesDispatcher, ProcessesInterface};
use fos_runtime::Runtime;
use fos_runtime::fleet::{EnterError, Member};

/// How often a member looks whether it has the table.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One member's parts.
pub struct ProcessesMember {
    /// Its copy of the table.
    pub ledger: Rc<Ledger>,
    _keeper: Rc<Keeper>,
}

impl ProcessesMember {
    /// Enters the fleet, gets the table, and serves.
    pub async fn enter(
        runtime: &Runtime,
        member: &Rc<Member>,
        limits: Limits,
        key: DirectoryKey,
        starter: Rc<dyn Starter>,
    ) -> Result<ProcessesMember, EnterError> {
        let ledger = Ledger::new(runtime.clone(), member.clone(), limits, starter.clone());
        member.serve_members(ProcessPeersDispatcher::new(Rc::new(Members(ledger.clone()))));
        let clients = Clients { runtime: runtime.clone(), ledger: ledger.clone(), key };
        member.serve::<ProcessesInterface>(ProcessesDispatcher::new(Rc::new(clients)));
        member.enter().await?;
        ledger.begin();
        while ledger.table().is_none() {
            ledger.changed(ledger.count(), LOOK_EVERY).await;
        }
        let keeper = Keeper::begin(runtime.clone(), member.clone(), ledger.clone(), starter);
        member.open().await?;
        Ok(ProcessesMember { ledger, _keeper: keeper })
    }
}
