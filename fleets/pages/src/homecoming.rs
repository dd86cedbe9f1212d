//! What nobody has is adopted: all frames at boot, what processes held that ended, and what members kept that did. And what a
//! member is not certain of, since an answer of the custodian or of another member was lost, it reads in the custodian's
//! table: a member's memory of what it keeps is no more than a copy of that.

use crate::server::Server;
use crate::stock::Stock;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;
use fos_messages::custody::{CustodyNews, Row};
use fos_messages::rpc::{CallError, Context};
use fos_runtime::Priority;

/// How often is looked for what nobody has, if no news comes: a post may be lost.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long before the custodian is asked again.
const AGAIN_AFTER: Duration = Duration::from_millis(1);

impl Server {
    /// Keeps from now on what nobody has; answers how many frames.
    pub(crate) async fn adopt(&self) -> u64 {
        let mut adopted = 0;
        loop {
            let _step = self.begin().await;
            if self.is_leaving() {
                return adopted;
            }
            match self.custody.adopt().await {
                Ok(rows) if rows.is_empty() => return adopted,
                Ok(rows) => {
                    adopted += rows.iter().map(|row| row.range.count).sum::<u64>();
                    let mut stock = self.stock.borrow_mut();
                    rows.iter().for_each(|row| stock.add(row.range, row.is_clean));
                }
                Err(error) => {
                    if !error.nothing_was_done() {
                        self.doubt();
                    }
                    return adopted;
                }
            }
        }
    }

    /// Adopts, counts again when in doubt, and knows how much is free, as long as this member is one.
    pub(crate) fn begin_homecoming(self: &Rc<Self>) {
        let server = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            loop {
                server.adopt().await;
                if let Ok(totals) = server.custody.totals().await {
                    server.know(totals);
                }
                server.runtime.sleep(LOOK_EVERY).await;
            }
        });
        let server = self.clone();
        self.runtime.spawn(Priority::Normal, async move {
            loop {
                if server.is_in_doubt() && !server.is_leaving() {
                    server.recount().await;
                }
                server.runtime.sleep(AGAIN_AFTER * 5).await;
            }
        });
    }

    /// Waits until it is known how many frames there are: what a process may have is a share of them.
    pub(crate) async fn knows_totals(&self) {
        while self.totals.get().frames == 0 {
            self.runtime.sleep(AGAIN_AFTER).await;
        }
    }

    /// Reads in the custodian's table what is kept here. Nothing may be on its way to or from it meanwhile.
    async fn recount(&self) {
        self.begin_count().await;
        let rows = loop {
            match self.rows().await {
                Ok(rows) => break rows,
                Err(_) => self.runtime.sleep(AGAIN_AFTER).await,
            }
        };
        *self.stock.borrow_mut() = Stock::of(&rows, self.identity());
        self.end_count();
    }

    async fn rows(&self) -> Result<Vec<Row>, CallError> {
        let mut rows: Vec<Row> = Vec::new();
        loop {
            let from = rows.last().map_or(0, |row| row.range.first + row.range.count);
            let more = self.custody.table(from).await?;
            if more.is_empty() {
                return Ok(rows);
            }
            rows.extend(more);
        }
    }
}

/// What the custodian tells.
pub struct News(pub Rc<Server>);

impl CustodyNews for News {
    fn orphans(&self, context: Context) {
        if context.sender.0 == self.0.custodian() {
            let server = self.0.clone();
            self.0.runtime.spawn(Priority::Normal, async move { _ = server.adopt().await });
        }
    }
}
