//! How a process becomes a member: it registers below the fleet's name, which takes the fleet's key, and asks everybody else
//! who is registered there to take it in. Only whoever is registered is told where members write to each other.
//!
//! When nobody belongs to a fleet yet, one founds it: who made the name `founder`, which naming lets one process have, and
//! was then told by everybody registered that they belong to none. Whoever belongs to one was registered before, so it would
//! have been asked.

use super::admission::Door;
use super::member::{AGAIN_AFTER, Member};
use super::roster::Roster;
use crate::Instant;
use alloc::rc::Rc;
use core::time::Duration;
use fos_messages::fleet::{FleetClient, FleetError, Seat};
use fos_messages::names::{DirectoryKey, NameError, Path, Policy};
use fos_messages::rpc::CallError;

/// How long a process tries to become a member.
const ENTER_WITHIN: Duration = Duration::from_secs(60);
/// How long one member may take to have all others know a new one.
const JOIN_WITHIN: Duration = Duration::from_secs(5);

/// Why a process is no member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnterError {
    /// Naming does not let it register.
    Refused(NameError),
    /// The fleet has as many members as it may.
    Full,
    /// Nobody took it in, or naming did not answer, in time.
    TimedOut,
}

impl core::fmt::Display for EnterError {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            EnterError::Refused(error) => {
                write!(formatter, "naming does not register it as a member: {error}")
            }
            EnterError::Full => formatter.write_str("the fleet has as many members as it may"),
            EnterError::TimedOut => formatter.write_str("nobody took it into the fleet in time"),
        }
    }
}

impl core::error::Error for EnterError {}

/// What asking everybody came to.
enum Asked {
    Joined,
    /// Nobody belongs to a fleet.
    Nobody,
    /// Somebody could not say.
    Unclear,
}

/// Whether the name `founder` is this process's.
enum Founder {
    Is {
        key: DirectoryKey,
    },
    /// Naming did not say.
    MayBe {
        key: DirectoryKey,
    },
    IsNot,
}

impl Member {
    /// Makes this process a member: of the fleet that is there, or of one that it founds.
    pub async fn enter(self: &Rc<Self>) -> Result<(), EnterError> {
        let deadline = self.now().after(ENTER_WITHIN);
        let mut founder = Founder::IsNot;
        self.register_before(deadline, &self.terms.members).await?;
        loop {
            match self.ask_everybody().await? {
                Asked::Joined => break,
                Asked::Nobody if matches!(founder, Founder::Is { .. }) => {
                    self.found();
                    break;
                }
                Asked::Nobody => founder = self.become_founder(founder).await,
                Asked::Unclear => self.runtime.sleep(AGAIN_AFTER).await,
            }
            if self.now() > deadline {
                return Err(EnterError::TimedOut);
            }
        }
        self.spawn(|member| async move { member.regulate().await });
        Ok(())
    }

    /// Lets clients in: from now on the fleet's name leads here too. Not if this member leaves already.
    pub async fn open(&self) -> Result<(), EnterError> {
        self.admission.set_door(Door::Open);
        if self.admission.door() == Door::Leaving {
            return Ok(());
        }
        self.register_before(self.now().after(ENTER_WITHIN), &self.terms.charter.name).await
    }

    async fn register_before(&self, deadline: Instant, path: &Path) -> Result<(), EnterError> {
        while let Err(error) = self.register(path).await {
            self.again(deadline, error).await?;
        }
        Ok(())
    }

    async fn again(&self, deadline: Instant, error: CallError<NameError>) -> Result<(), EnterError> {
        match error {
            CallError::Refused(refused) => Err(EnterError::Refused(refused)),
            _ if self.now() > deadline => Err(EnterError::TimedOut),
            _ => {
                self.runtime.sleep(AGAIN_AFTER).await;
                Ok(())
            }
        }
    }

    async fn ask_everybody(&self) -> Result<Asked, EnterError> {
        let Ok(registered) = self.names.members(&self.terms.members).await else { return Ok(Asked::Unclear) };
        let mut asked = Asked::Nobody;
        for entry in registered.iter().filter(|entry| entry.address != self.seat.external) {
            let other = FleetClient::new(self.runtime.within(JOIN_WITHIN), entry.address);
            match other.join(self.seat).await {
                Ok(()) if self.has_begun().await => return Ok(Asked::Joined),
                Err(CallError::Refused(FleetError::NoRoster)) => {}
                Err(CallError::Refused(FleetError::Full)) => return Err(EnterError::Full),
                _ => asked = Asked::Unclear,
            }
        }
        Ok(asked)
    }

    /// The coordinator counts it in: waits until it hears so itself.
    async fn has_begun(&self) -> bool {
        let deadline = self.now().after(JOIN_WITHIN);
        while !self.agreement.borrow().is_member() && self.now() < deadline {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
        self.agreement.borrow().is_member()
    }

    async fn become_founder(&self, before: Founder) -> Founder {
        let key = match before {
            Founder::Is { key } | Founder::MayBe { key } => key,
            Founder::IsNot => DirectoryKey([self.runtime.port().random(), self.runtime.port().random()]),
        };
        let (path, above) = (&self.terms.founder, self.terms.charter.key);
        match self.names.make(path, above, key, false).await {
            Ok(()) => Founder::Is { key },
            // Perhaps made by an earlier try that naming did not answer: then its key opens it.
            Err(CallError::Refused(NameError::Exists)) => match before {
                Founder::IsNot => Founder::IsNot,
                _ => match self.names.set_policy(path, key, Policy::default()).await {
                    Ok(()) => Founder::Is { key },
                    Err(CallError::Refused(_)) => Founder::IsNot,
                    Err(_) => Founder::MayBe { key },
                },
            },
            Err(CallError::Refused(_)) => Founder::IsNot,
            Err(_) => Founder::MayBe { key },
        }
    }

    /// The first epoch is this member's alone.
    fn found(self: &Rc<Self>) {
        // After what may have been proposed by a member that ended before it came about.
        let first = self.agreement.borrow().promised().next();
        let seat = Seat { since: first.0, ..self.seat };
        let promised = self.agreement.borrow_mut().promise(Roster::new(first, [seat].into()));
        if promised.is_ok() {
            let committed = self.commit(first);
            debug_assert_eq!(committed, Ok(true), "it has just been promised");
        }
    }
}
