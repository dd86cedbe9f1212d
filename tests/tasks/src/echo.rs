//! A service that answers what it was sent.

use fos_messages::rpc::{Context, Instead, Never, interface};

/// Answers what it was sent.
#[interface(id = 0x7f02, version = 1)]
pub trait Echo {
    /// The same number.
    #[operation(idempotent)]
    async fn echo(&self, number: u64) -> u64;
}

/// The server.
pub struct Same;

impl Echo for Same {
    async fn echo(&self, _: Context, number: u64) -> Result<u64, Instead<Never>> {
        Ok(number)
    }
}
