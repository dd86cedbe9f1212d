//! The conversation: what processes ask, and what other members do.

use crate::server::Server;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use fos_messages::arbiter::{
    Advice, Arbiter, ArbiterError, ArbiterPeers, Claim, Grant, Granted, Holding, Report,
};
use fos_messages::knowledge::{
    CHOICES_MAX, Choice, Comparison, CoreView, Fact, Knowledge, KnowledgeError, KnowledgePeers, NEAR_MAX,
    Near, NearMemory, Place, Route,
};
use fos_messages::names::DirectoryKey;
use fos_messages::rpc::{Context, Instead, Never};

/// What processes ask.
pub struct Clients(pub Rc<Server>);

impl Knowledge for Clients {
    async fn tell(
        &self,
        _: Context,
        key: DirectoryKey,
        facts: Vec<Fact>,
    ) -> Result<(), Instead<KnowledgeError>> {
        self.0.tell(key, facts).await
    }

    async fn here(&self, context: Context, at: Place) -> Result<(), Instead<KnowledgeError>> {
        self.0.spread([Fact::Process { process: context.sender.0, at }].into()).await
    }

    fn nearest(
        &self,
        _: Context,
        near: Vec<Near>,
        avoid: Vec<Place>,
        count: u16,
    ) -> Result<Vec<Choice>, Instead<Never>> {
        let near = near.get(..near.len().min(NEAR_MAX)).unwrap_or_default();
        let mut choices = self.0.facts.borrow().nearest(near, &avoid);
        choices.truncate(usize::from(count).min(CHOICES_MAX));
        Ok(choices)
    }

    fn compare(
        &self,
        _: Context,
        near: Vec<Near>,
        at: Place,
        avoid: Vec<Place>,
    ) -> Result<Comparison, Instead<Never>> {
        let near = near.get(..near.len().min(NEAR_MAX)).unwrap_or_default();
        Ok(self.0.facts.borrow().compare(near, at, &avoid))
    }

    fn memory_near(&self, _: Context, at: Place) -> Result<Vec<NearMemory>, Instead<Never>> {
        Ok(self.0.facts.borrow().memory_near(at))
    }

    fn route(&self, _: Context, from: Place, to: Place) -> Result<Route, Instead<Never>> {
        Ok(self.0.facts.borrow().route(from, to))
    }

    fn cores(&self, _: Context, from: Place) -> Result<Vec<CoreView>, Instead<Never>> {
        Ok(self.0.facts.borrow().views(from))
    }
}

impl Arbiter for Clients {
    async fn ask(&self, _: Context, claim: Claim) -> Result<Grant, Instead<ArbiterError>> {
        self.0.ask(claim).await
    }

    async fn give_back(
        &self,
        _: Context,
        owner: String,
        key: DirectoryKey,
        at: Place,
    ) -> Result<(), Instead<ArbiterError>> {
        self.0.give_back(&owner, key, at).await
    }

    async fn report(&self, _: Context, report: Report) -> Result<Advice, Instead<ArbiterError>> {
        self.0.report(report).await
    }

    async fn grants(&self, _: Context, from: Place) -> Result<Vec<Holding>, Instead<Never>> {
        self.0.grants(from).await
    }
}

/// What other members do.
pub struct Members(pub Rc<Server>);

impl KnowledgePeers for Members {
    fn learn(&self, _: Context, facts: Vec<Fact>) -> Result<(), Instead<Never>> {
        self.0.learn(&facts);
        Ok(())
    }

    fn copy(&self, _: Context, from: u32) -> Result<Vec<Fact>, Instead<Never>> {
        Ok(self.0.facts.borrow().some_from(from as usize))
    }
}

impl ArbiterPeers for Members {
    fn keep(&self, _: Context, granted: Granted, is_granted: bool) -> Result<(), Instead<Never>> {
        self.0.keep(&granted, is_granted);
        Ok(())
    }

    fn kept(&self, _: Context, from: u32) -> Result<Option<Granted>, Instead<Never>> {
        Ok(self.0.arbiter.borrow().granted_from(from as usize))
    }
}
