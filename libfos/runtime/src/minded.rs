//! Being looked after by the watchdog: a process says that it lives, to every member of the watchdog, and answers when it is
//! asked. It does both as any other work, in the same loop, so that whoever does not get round to its work does not get
//! round to this either. And a fleet's coordinator asks before it has a member started, so that one whose members end
//! again and again is not restarted for ever.

use crate::fleet::{Coming, Growth};
use crate::port::Class;
use crate::{Named, Names, Priority, Runtime};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use fos_abi::Identity;
use fos_messages::names::Path;
use fos_messages::programs::Refusal;
use fos_messages::rpc::{Address, CallError, Context, Instead, Never};
use fos_messages::watchdog::{Charge, Minded, MindedDispatcher, WatchdogClient};

/// How often the members of the watchdog are looked up, and told again who is to be looked after: a watchdog all of whose
/// members ended at once knows everybody again after that.
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);
/// How long the watchdog may take to answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// How long the watchdog may take to say whether a member may be started; if it says nothing, one is started.
const PERMITS_WITHIN: Duration = Duration::from_millis(200);
/// More members than a core ever has: as many are said to be on one that is to be tried last.
const CROWD: usize = 1024;

/// Sees to it that its process is looked after.
pub struct Minder {
    runtime: Runtime,
    names: Rc<Names>,
    watchdog: Path,
    charge: Charge,
    /// How long a new request would wait, in nanoseconds.
    wait: Box<dyn Fn() -> u64>,
    /// The members of the watchdog.
    told: RefCell<Vec<Address>>,
    is_over: Cell<bool>,
}

impl Minder {
    /// From now on this process is looked after, as soon as it is registered as a member of its fleet and there is a watchdog
    /// that knows the fleet; and it says that it lives each time that `beat` has passed. To be begun before the process enters
    /// its fleet: one that stands still before it is looked after is noticed by nobody.
    pub fn begin(
        runtime: &Runtime,
        names: &Rc<Names>,
        watchdog: Path,
        charge: Charge,
        beat: Duration,
        wait: impl Fn() -> u64 + 'static,
    ) -> Rc<Minder> {
        runtime.serve(Class::Internal, MindedDispatcher::new(Rc::new(Lives)));
        let (told, is_over) = Default::default();
        let (runtime, names, wait) = (runtime.clone(), names.clone(), Box::new(wait));
        let minder = Rc::new(Minder { runtime, names, watchdog, charge, wait, told, is_over });
        let (beats, looks) = (minder.clone(), minder.clone());
        minder.runtime.spawn(Priority::Normal, async move { beats.beat(beat).await });
        minder.runtime.spawn(Priority::Normal, async move { looks.look_up(beat).await });
        minder
    }

    /// The process is about to end, as it should: nobody is to take its end for a death.
    pub async fn dismiss(&self) {
        self.is_over.set(true);
        // Without a watchdog nobody looks.
        let _ = self.watchdog(ANSWERS_WITHIN).dismiss().await;
    }

    fn watchdog(&self, within: Duration) -> WatchdogClient<Named> {
        WatchdogClient::new(self.names.at(self.watchdog.clone(), within), Address::default())
    }

    async fn beat(&self, every: Duration) {
        let mut told_poisonous = 0;
        while !self.is_over.get() {
            let (wait, poisonous) = ((self.wait)(), self.runtime.lost().poisonous);
            for member in self.told.borrow().iter() {
                let watchdog = WatchdogClient::new(self.runtime.within(every), *member);
                // A post that finds no room is missed, and the next is newer.
                let _ = watchdog.beat(wait);
                if poisonous > told_poisonous {
                    let _ = watchdog.poisoned();
                }
            }
            if !self.told.borrow().is_empty() {
                told_poisonous = poisonous;
            }
            self.runtime.sleep(every).await;
        }
    }

    async fn look_up(&self, beat: Duration) {
        while !self.is_over.get() {
            let mut is_known = false;
            if let Ok(entries) = self.names.members(&self.watchdog).await {
                *self.told.borrow_mut() = entries.into_iter().map(|entry| entry.address).collect();
            }
            if !self.told.borrow().is_empty() && !self.is_over.get() {
                is_known = self.watchdog(ANSWERS_WITHIN).look_after(self.charge.clone()).await.is_ok();
            }
            self.runtime.sleep(if is_known { LOOK_UP_EVERY } else { beat / 5 }).await;
        }
    }
}

/// Who answers this lives.
struct Lives;

impl Minded for Lives {
    fn ping(&self, _: Context) -> Result<(), Instead<Never>> {
        Ok(())
    }
}

/// Growth that the watchdog permits.
pub struct Permitted {
    growth: Rc<dyn Growth>,
    names: Rc<Names>,
    watchdog: Path,
    fleet: Path,
}

impl Permitted {
    /// Of this fleet.
    pub fn new(growth: Rc<dyn Growth>, names: &Rc<Names>, watchdog: Path, fleet: Path) -> Rc<Permitted> {
        Rc::new(Permitted { growth, names: names.clone(), watchdog, fleet })
    }
}

/// The cores to grow on are chosen by how many members each has: those to be avoided are said to be crowded.
pub fn crowded(mut taken: Vec<u16>, avoid: &[u16]) -> Vec<u16> {
    taken.extend(avoid.iter().flat_map(|core| core::iter::repeat_n(*core, CROWD)));
    taken
}

impl Growth for Permitted {
    fn grow(&self, core: Option<u16>, taken: Vec<u16>) -> Coming<'_, Result<Identity, CallError<Refusal>>> {
        Box::pin(async move {
            let named = self.names.at(self.watchdog.clone(), PERMITS_WITHIN);
            let watchdog = WatchdogClient::new(named, Address::default());
            let taken = match watchdog.permit(self.fleet.clone()).await {
                Ok(permit) => crowded(taken, &permit.avoid),
                Err(CallError::Refused(_)) => return Err(CallError::Refused(Refusal::NotStarted)),
                // There is no watchdog now: repair does not wait for it.
                Err(_) => taken,
            };
            self.growth.grow(core, taken).await
        })
    }

    fn outlive(&self, started: Identity) -> Coming<'_, ()> {
        self.growth.outlive(started)
    }

    fn give_up(&self, started: Identity) -> Coming<'_, ()> {
        self.growth.give_up(started)
    }
}
