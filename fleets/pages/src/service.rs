//! The conversation: what processes ask, and what other members do.

use crate::server::Server;
use alloc::rc::Rc;
use alloc::vec::Vec;
use fos_messages::names::DirectoryKey;
use fos_messages::pages::{
    Account, Freed, Lent, ORDER_MAX, Pages, PagesError, PagesPeers, Pressure, Range, Run, Statistics, Wanted,
};
use fos_messages::rpc::{Address, Context, Instead, Never};

/// What processes ask.
pub struct Clients(pub Rc<Server>);

impl Pages for Clients {
    async fn allocate(&self, context: Context, wanted: Wanted) -> Result<Vec<Run>, Instead<PagesError>> {
        self.0.allocate(context.sender.0, wanted).await
    }

    async fn give_back(&self, context: Context, firsts: Vec<u64>) -> Result<Vec<Freed>, Instead<PagesError>> {
        self.0.give_back(context.sender.0, firsts).await
    }

    async fn quota(&self, context: Context) -> Result<Account, Instead<Never>> {
        self.0.quota(context.sender.0).await.ok_or(Instead::NotNow)
    }

    async fn set_quota(
        &self,
        _: Context,
        key: DirectoryKey,
        process: u64,
        frames: u64,
    ) -> Result<(), Instead<PagesError>> {
        self.0.set_quota(key, process, frames).await
    }

    async fn statistics(&self, _: Context) -> Result<Statistics, Instead<Never>> {
        Ok(self.0.statistics())
    }

    fn subscribe(&self, context: Context, news: Address) -> Result<Pressure, Instead<Never>> {
        Ok(self.0.subscribe(context.sender, news))
    }
}

/// What other members ask.
pub struct Members(pub Rc<Server>);

impl PagesPeers for Members {
    async fn lend(
        &self,
        context: Context,
        frames: u64,
        order: u8,
        is_last: bool,
    ) -> Result<Vec<Lent>, Instead<Never>> {
        Ok(self.0.lend(context.sender, frames, order.min(ORDER_MAX), is_last).await)
    }

    async fn cede(&self, context: Context, ranges: Vec<Range>) -> Result<Vec<Lent>, Instead<Never>> {
        Ok(self.0.cede(context.sender, &ranges).await)
    }
}
