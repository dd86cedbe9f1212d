//! A server for every interface of the system, so that the dispatcher of each meets what the bad peers make up: those that
//! nobody in this scenario really serves are served here, by what answers as little as it may.

use fos_messages::arbiter::{
    Advice, Arbiter, ArbiterDispatcher, ArbiterError, ArbiterPeers, ArbiterPeersDispatcher, Claim, Grant,
    Granted, Holding, Report,
};
use fos_messages::containers::{ContainerPeers, ContainerPeersDispatcher};
use fos_messages::custody::{
    Account, Custody, CustodyDispatcher, CustodyNews, CustodyNewsDispatcher, Given, Range,
    Refusal as NotGiven, Returned, Row, Totals,
};
use fos_messages::echo::{Echo, EchoDispatcher, Overflow, Refusal};
use fos_messages::fleet::{
    Behind, Figure, Fleet, FleetDispatcher, FleetError, FleetPeers, FleetPeersDispatcher, Seat, Standing,
};
use fos_messages::founder::{Founder, FounderDispatcher, Progress as Founded};
use fos_messages::knowledge::{
    Choice, Comparison, CoreView, Fact, Knowledge, KnowledgeDispatcher, KnowledgeError, KnowledgePeers,
    KnowledgePeersDispatcher, Near, NearMemory, Place, Route, Way,
};
use fos_messages::lending::{LendingPeers, LendingPeersDispatcher};
use fos_messages::names::{
    DirectoryKey, NameError, NamePeers, NamePeersDispatcher, NamesStarterDispatcher, Path, Peer,
    RequestNumber,
};
use fos_messages::pages::{
    Freed, Lent, Pages, PagesDispatcher, PagesError, PagesNews, PagesNewsDispatcher, PagesPeers,
    PagesPeersDispatcher, Pressure, Run, Statistics, Wanted,
};
use fos_messages::processes::{
    Description, Elsewhere, Ended, Pid, ProcessError, ProcessPeers, ProcessPeersDispatcher, Processes,
    ProcessesDispatcher, Progress, SpawnOrder, Spawned, Statistics as ProcessStatistics, Target, Waited,
    Whom,
};
use fos_messages::programs::{self, Order, Programs, ProgramsDispatcher, Started};
use fos_messages::rpc::{Address, Context, Instead, Never, Serve};
use fos_messages::tickets::{Counts, Deed, Survey, Tickets, TicketsDispatcher};
use fos_messages::watchdog::{
    Charge, FleetState, Incomplete, Minded, MindedDispatcher, NotYet, Permit, WatchError, Watchdog,
    WatchdogDispatcher, WatchdogPeers, WatchdogPeersDispatcher,
};
use fos_naming::starter::{Starter, StarterService};
use fos_runtime::Runtime;
use fos_runtime::port::Class;
use std::rc::Rc;

/// Serves them, to strangers: all but `Names`, which naming serves.
pub(super) fn serve(runtime: &Runtime) {
    servers().into_iter().for_each(|server| runtime.serve(Class::External, server));
}

fn servers() -> Vec<Rc<dyn Serve>> {
    let least = Rc::new(Least);
    vec![
        ProgramsDispatcher::new(least.clone()),
        EchoDispatcher::new(least.clone()),
        NamePeersDispatcher::new(least.clone()),
        FleetDispatcher::new(least.clone()),
        FleetPeersDispatcher::new(least.clone()),
        ProcessesDispatcher::new(least.clone()),
        ProcessPeersDispatcher::new(least.clone()),
        TicketsDispatcher::new(least.clone()),
        WatchdogDispatcher::new(least.clone()),
        WatchdogPeersDispatcher::new(least.clone()),
        MindedDispatcher::new(least.clone()),
        NamesStarterDispatcher::new(Rc::new(StarterService(Starter::new(super::ROOT_KEY)))),
        ContainerPeersDispatcher::new(least.clone()),
        LendingPeersDispatcher::new(least.clone()),
        KnowledgeDispatcher::new(least.clone()),
        KnowledgePeersDispatcher::new(least.clone()),
        ArbiterDispatcher::new(least.clone()),
        ArbiterPeersDispatcher::new(least.clone()),
        FounderDispatcher::new(least.clone()),
        CustodyDispatcher::new(least.clone()),
        CustodyNewsDispatcher::new(least.clone()),
        PagesDispatcher::new(least.clone()),
        PagesPeersDispatcher::new(least.clone()),
        PagesNewsDispatcher::new(least),
    ]
}

/// Gives back what it is given, or refuses.
struct Least;

impl Echo for Least {
    fn sum(&self, _: Context, left: u64, right: u64) -> Result<u64, Instead<Overflow>> {
        Ok(left.checked_add(right).ok_or(Overflow)?)
    }
    async fn echo(&self, _: Context, text: String) -> Result<String, Instead<Never>> {
        Ok(text)
    }
    fn note(&self, _: Context, _: u64) {}
    async fn refuse(&self, _: Context, text: String) -> Result<(), Instead<Refusal>> {
        Err(Instead::Refused(Refusal::LongerThan(text.len() as u32)))
    }
    fn noted(&self, _: Context) -> Result<u64, Instead<Never>> {
        Ok(0)
    }
}

impl LendingPeers for Least {
    fn in_hand(&self, _: Context, _: u16, _: Vec<u8>) -> Result<Vec<Vec<u8>>, Instead<Never>> {
        Ok(Vec::new())
    }
}

impl Knowledge for Least {
    async fn tell(&self, _: Context, _: DirectoryKey, _: Vec<Fact>) -> Result<(), Instead<KnowledgeError>> {
        Err(KnowledgeError::BadKey.into())
    }

    async fn here(&self, _: Context, _: Place) -> Result<(), Instead<KnowledgeError>> {
        Ok(())
    }

    fn nearest(
        &self,
        _: Context,
        _: Vec<Near>,
        _: Vec<Place>,
        _: u16,
    ) -> Result<Vec<Choice>, Instead<Never>> {
        Ok(Vec::new())
    }

    fn compare(
        &self,
        _: Context,
        _: Vec<Near>,
        best: Place,
        _: Vec<Place>,
    ) -> Result<Comparison, Instead<Never>> {
        Ok(Comparison { best, ..Comparison::default() })
    }

    fn memory_near(&self, _: Context, _: Place) -> Result<Vec<NearMemory>, Instead<Never>> {
        Ok(Vec::new())
    }

    fn route(&self, _: Context, _: Place, _: Place) -> Result<Route, Instead<Never>> {
        Ok(Route { way: Way::Kernel, nanoseconds: 0, is_measured: false })
    }

    fn cores(&self, _: Context, _: Place) -> Result<Vec<CoreView>, Instead<Never>> {
        Ok(Vec::new())
    }
}

impl KnowledgePeers for Least {
    fn learn(&self, _: Context, _: Vec<Fact>) -> Result<(), Instead<Never>> {
        Ok(())
    }

    fn copy(&self, _: Context, _: u32) -> Result<Vec<Fact>, Instead<Never>> {
        Ok(Vec::new())
    }
}

impl Arbiter for Least {
    async fn ask(&self, _: Context, _: Claim) -> Result<Grant, Instead<ArbiterError>> {
        Err(ArbiterError::NoCore.into())
    }

    async fn give_back(
        &self,
        _: Context,
        _: String,
        _: DirectoryKey,
        _: Place,
    ) -> Result<(), Instead<ArbiterError>> {
        Ok(())
    }

    async fn report(&self, _: Context, _: Report) -> Result<Advice, Instead<ArbiterError>> {
        Ok(Advice::Keep)
    }

    async fn grants(&self, _: Context, _: Place) -> Result<Vec<Holding>, Instead<Never>> {
        Ok(Vec::new())
    }
}

impl ArbiterPeers for Least {
    fn keep(&self, _: Context, _: Granted, _: bool) -> Result<(), Instead<Never>> {
        Ok(())
    }

    fn kept(&self, _: Context, _: u32) -> Result<Option<Granted>, Instead<Never>> {
        Ok(None)
    }
}

impl Founder for Least {
    fn fleets(&self, _: Context, _: u32) -> Result<Founded, Instead<Never>> {
        Ok(Founded::default())
    }
}

impl Programs for Least {
    fn start(&self, _: Context, order: Order) -> Result<Started, Instead<programs::Refusal>> {
        let Order { arguments, core, .. } = order;
        Ok(Started { number: arguments.len() as u64, identity: 0, core })
    }
    async fn end(&self, _: Context, number: u64) -> Result<u8, Instead<programs::Refusal>> {
        Ok(number as u8)
    }
    fn stop(&self, _: Context, _: u64) -> Result<(), Instead<programs::Refusal>> {
        Err(Instead::Refused(programs::Refusal::NotYours))
    }
    fn fence(&self, _: Context, _: u64) -> Result<(), Instead<programs::Refusal>> {
        Err(Instead::Refused(programs::Refusal::NotEntitled))
    }
}

impl Watchdog for Least {
    async fn look_after(&self, _: Context, charge: Charge) -> Result<(), Instead<WatchError>> {
        let is_long = charge.order.arguments.len() > 9;
        Err(Instead::Refused(if is_long { WatchError::TooLong } else { WatchError::NoPolicy }))
    }
    fn beat(&self, _: Context, _: u64) {}
    async fn dismiss(&self, _: Context) -> Result<(), Instead<Never>> {
        Ok(())
    }
    fn permit(&self, _: Context, _: Path) -> Result<Permit, Instead<NotYet>> {
        Ok(Permit::default())
    }
    fn poisoned(&self, _: Context) {}
    fn state(&self, _: Context, _: Path) -> Result<FleetState, Instead<WatchError>> {
        Ok(FleetState::default())
    }
}

impl WatchdogPeers for Least {
    fn keep(&self, _: Context, _: Charge) -> Result<(), Instead<Never>> {
        Ok(())
    }
    fn forget(&self, _: Context, _: u64) -> Result<(), Instead<Never>> {
        Ok(())
    }
    fn page(&self, _: Context, _: u64) -> Result<Vec<Charge>, Instead<Incomplete>> {
        Ok(Vec::new())
    }
    fn ends(&self, _: Context, fleet: u32) -> Result<Vec<u32>, Instead<Never>> {
        Ok(vec![fleet])
    }
}

impl Minded for Least {
    fn ping(&self, _: Context) -> Result<(), Instead<Never>> {
        Ok(())
    }
}

impl NamePeers for Least {
    fn say(&self, _: Context, _: Vec<u8>) {}
    async fn introduce(&self, _: Context, peer: Peer) -> Result<Vec<Peer>, Instead<NameError>> {
        Ok(vec![peer])
    }
}

impl Fleet for Least {
    async fn join(&self, _: Context, _: Seat) -> Result<(), Instead<FleetError>> {
        Err(Instead::Refused(FleetError::NoRoster))
    }
    fn standing(&self, _: Context) -> Result<Standing, Instead<Never>> {
        Ok(Standing::default())
    }
    async fn relocate(&self, _: Context, _: DirectoryKey, _: u64, _: u16) -> Result<(), Instead<FleetError>> {
        Err(Instead::Refused(FleetError::BadKey))
    }
}

impl FleetPeers for Least {
    fn propose(&self, _: Context, epoch: u32, _: u16, _: u16, _: Vec<Seat>) -> Result<(), Instead<Behind>> {
        Err(Instead::Refused(Behind { promised: epoch }))
    }
    fn commit(&self, _: Context, epoch: u32) -> Result<(), Instead<Behind>> {
        Err(Instead::Refused(Behind { promised: epoch }))
    }
    async fn leave(&self, _: Context) -> Result<(), Instead<Never>> {
        Err(Instead::NotNow)
    }
    fn drain(&self, _: Context) -> Result<(), Instead<Never>> {
        Ok(())
    }
    fn report(&self, _: Context, _: Figure) {}
}

impl ContainerPeers for Least {
    fn say(&self, _: Context, _: Vec<u8>) {}
}

impl Custody for Least {
    fn totals(&self, _: Context) -> Result<Totals, Instead<Never>> {
        Ok(Totals::default())
    }
    fn table(&self, _: Context, _: u64) -> Result<Vec<Row>, Instead<Never>> {
        Ok(Vec::new())
    }
    fn block(&self, _: Context, _: u8) -> Result<Vec<Row>, Instead<Never>> {
        Ok(Vec::new())
    }
    fn has_blocks(&self, _: Context, _: u64, _: u8) -> Result<bool, Instead<Never>> {
        Ok(false)
    }
    fn account(&self, _: Context, _: u64) -> Result<Account, Instead<Never>> {
        Ok(Account::default())
    }
    fn subscribe(&self, _: Context, _: Address) -> Result<(), Instead<NotGiven>> {
        Ok(())
    }
    fn adopt(&self, _: Context) -> Result<Vec<Row>, Instead<Never>> {
        Ok(Vec::new())
    }
    fn give(&self, _: Context, _: u64, _: u64, _: Vec<Range>, _: u64) -> Result<Given, Instead<NotGiven>> {
        Err(Instead::Refused(NotGiven::NotKept))
    }
    fn hand_over(&self, _: Context, _: u64, _: Vec<Range>) -> Result<(), Instead<NotGiven>> {
        Err(Instead::Refused(NotGiven::NotKept))
    }
    fn take_home(
        &self,
        _: Context,
        _: u64,
        _: Vec<u64>,
        _: bool,
        _: bool,
    ) -> Result<Returned, Instead<NotGiven>> {
        Err(Instead::Refused(NotGiven::BadRange))
    }
    fn release(&self, _: Context) -> Result<(), Instead<Never>> {
        Ok(())
    }
    fn set_limit(&self, _: Context, _: u64, _: u64) -> Result<(), Instead<NotGiven>> {
        Err(Instead::Refused(NotGiven::NoProcess))
    }
}

impl CustodyNews for Least {
    fn orphans(&self, _: Context) {}
}

impl Pages for Least {
    async fn allocate(&self, _: Context, _: Wanted) -> Result<Vec<Run>, Instead<PagesError>> {
        Err(Instead::Refused(PagesError::OutOfMemory))
    }
    async fn give_back(&self, _: Context, firsts: Vec<u64>) -> Result<Vec<Freed>, Instead<PagesError>> {
        Ok(firsts.iter().take(1).map(|_| Freed::NotYours).collect())
    }
    async fn quota(&self, _: Context) -> Result<Account, Instead<Never>> {
        Ok(Account::default())
    }
    async fn set_quota(
        &self,
        _: Context,
        _: DirectoryKey,
        _: u64,
        _: u64,
    ) -> Result<(), Instead<PagesError>> {
        Err(Instead::Refused(PagesError::BadKey))
    }
    async fn statistics(&self, _: Context) -> Result<Statistics, Instead<Never>> {
        Ok(Statistics::default())
    }
    fn subscribe(&self, _: Context, _: Address) -> Result<Pressure, Instead<Never>> {
        Ok(Pressure::default())
    }
}

impl PagesPeers for Least {
    async fn lend(&self, _: Context, _: u64, _: u8, _: bool) -> Result<Vec<Lent>, Instead<Never>> {
        Ok(Vec::new())
    }
    async fn cede(&self, _: Context, _: Vec<Range>) -> Result<Vec<Lent>, Instead<Never>> {
        Ok(Vec::new())
    }
}

impl PagesNews for Least {
    fn pressure(&self, _: Context, _: Pressure) {}
}

impl Processes for Least {
    async fn enroll(&self, _: Context, _: DirectoryKey, _: Address) -> Result<Pid, Instead<ProcessError>> {
        Err(ProcessError::BadKey.into())
    }
    async fn spawn(
        &self,
        _: Context,
        _: RequestNumber,
        _: SpawnOrder,
    ) -> Result<Spawned, Instead<ProcessError>> {
        Err(ProcessError::Stranger.into())
    }
    async fn wait(
        &self,
        _: Context,
        _: RequestNumber,
        _: Whom,
        _: bool,
    ) -> Result<Waited, Instead<ProcessError>> {
        Ok(Waited::NotYet)
    }
    async fn kill(
        &self,
        _: Context,
        _: RequestNumber,
        _: Target,
        signal: u8,
    ) -> Result<u32, Instead<ProcessError>> {
        Ok(signal.into())
    }
    async fn set_group(&self, _: Context, _: Pid, _: Pid) -> Result<(), Instead<ProcessError>> {
        Err(ProcessError::NotPermitted.into())
    }
    async fn begin_session(&self, _: Context) -> Result<Pid, Instead<ProcessError>> {
        Err(ProcessError::Stranger.into())
    }
    fn describe(&self, _: Context, _: Option<Pid>) -> Result<Description, Instead<ProcessError>> {
        Err(ProcessError::NoSuchProcess.into())
    }
    fn list(&self, _: Context, _: Pid) -> Result<Vec<Description>, Instead<Never>> {
        Ok(Vec::new())
    }
    fn statistics(&self, _: Context) -> Result<ProcessStatistics, Instead<Never>> {
        Ok(ProcessStatistics::default())
    }
}

impl ProcessPeers for Least {
    fn progress(&self, _: Context) -> Result<Progress, Instead<Never>> {
        Ok(Progress::default())
    }
    fn tell(&self, _: Context, made: u64, _: Vec<u8>) -> Result<(), Instead<Elsewhere>> {
        Err(Elsewhere { made }.into())
    }
    fn settle(&self, _: Context, made: u64) -> Result<(), Instead<Elsewhere>> {
        Err(Elsewhere { made }.into())
    }
    fn told(&self, _: Context, made: u64) -> Result<Vec<u8>, Instead<Elsewhere>> {
        Err(Elsewhere { made }.into())
    }
    async fn catch_up(&self, _: Context, made: u64) -> Result<(), Instead<Elsewhere>> {
        Err(Elsewhere { made }.into())
    }
    fn piece(&self, _: Context, made: u64, _: Pid) -> Result<Vec<u8>, Instead<Elsewhere>> {
        Err(Elsewhere { made }.into())
    }
    async fn change(&self, _: Context, change: Vec<u8>) -> Result<Vec<u8>, Instead<Never>> {
        Ok(change.into_iter().take(1).collect())
    }
}

impl Tickets for Least {
    fn prepare(&self, _: Context, _: u64, _: u32, _: Vec<u8>) -> Result<(), Instead<Never>> {
        Ok(())
    }
    fn start(&self, _: Context, _: u64, _: u16, _: u32, _: Vec<u8>) -> Result<u64, Instead<ProcessError>> {
        Err(ProcessError::NoProgram.into())
    }
    fn act(&self, _: Context, _: u64, _: Deed, _: u8) -> Result<(), Instead<Never>> {
        Ok(())
    }
    async fn outlive(&self, _: Context, _: u64) -> Result<Ended, Instead<ProcessError>> {
        Err(ProcessError::NoSuchProcess.into())
    }
    fn forget(&self, _: Context, _: u64) -> Result<(), Instead<Never>> {
        Ok(())
    }
    fn counts(&self, _: Context) -> Result<Counts, Instead<Never>> {
        Ok(Counts::default())
    }
    fn known(&self, _: Context, last: u64) -> Result<Survey, Instead<Never>> {
        Ok(Survey { last, ..Survey::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fos_messages::interfaces;
    use fos_messages::names::NamesInterface;
    use fos_messages::rpc::Interface;

    /// A new interface needs a server here, so that its dispatcher is attacked too.
    #[test]
    fn no_interface_is_left_out() {
        let mut served: Vec<u16> = servers().iter().map(|server| server.speaks().0).collect();
        served.push(NamesInterface::ID);
        served.sort_unstable();
        let all: Vec<u16> = interfaces::ALL.iter().map(|interface| interface.id).collect();
        assert_eq!(served, all);
    }
}
