//! Following changes of names. The client says up to which version it was told, so no member of naming has to remember it.

use crate::Instant;
use crate::named::{NAMING_WITHIN, Names, Refused};
use alloc::rc::Rc;
use core::time::Duration;
use fos_messages::names::{NEWS_WITHIN, News, Path};

/// How long one member of naming may take to answer a watch: it waits for something to happen.
const WATCH_WITHIN: Duration = NEWS_WITHIN.saturating_add(NAMING_WITHIN);

/// Follows changes of names. It survives the members of naming that it asks: what it has not been told of yet, the next one
/// tells.
pub struct Watch {
    names: Rc<Names>,
    path: Path,
    /// Everything up to this version was told.
    since: u64,
}

impl Watch {
    pub(crate) fn new(names: Rc<Names>, path: Path) -> Watch {
        Watch { names, path, since: 0 }
    }

    /// The same for who has looked at the names already, and saw this version.
    pub fn after(self, version: u64) -> Watch {
        Watch { since: version, ..self }
    }

    /// Waits for something new. Unless it begins after a version, the first answer, and any after more changed than naming remembers, says to look again: at
    /// the names themselves, which are then of `until` or later. An error: no member of naming answered; ask again.
    pub async fn next(&mut self) -> Result<News, Refused> {
        loop {
            let asked = self.names.ask_within(WATCH_WITHIN, Instant::NEVER, "watch", |naming| {
                let (path, since) = (self.path.clone(), self.since);
                async move { naming.watch(path, since).await }
            });
            let news = asked.await?;
            self.names.saw(news.until);
            self.since = news.until;
            if news.look_again || !news.changes.is_empty() {
                return Ok(news);
            }
        }
    }
}
