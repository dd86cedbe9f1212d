//! What clients ask of a fleet that has a strong map and an eventual one, of numbers.

use alloc::rc::Rc;
use fos_messages::rpc::wire::Scalar;
use fos_messages::rpc::{Context, Instead, Never, interface};
use fos_sharded_map::{MapError, Service};

/// Which of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Scalar)]
pub enum Kind {
    /// A write is acknowledged when all that have the key have it.
    Strong,
    /// A write is acknowledged by the first that has it.
    Eventual,
}

/// Maps.
#[interface(id = 0x7f55, version = 1)]
pub trait Keeping {
    /// What is at a key.
    #[operation(idempotent)]
    async fn read(&self, kind: Kind, key: u64) -> Option<u64>;

    /// Puts something at a key.
    #[operation(idempotent)]
    async fn write(&self, kind: Kind, key: u64, value: u64);
}

/// A member's server.
pub struct Keeper {
    /// The strong map.
    pub strong: Rc<Service<u64, u64>>,
    /// The eventual one.
    pub eventual: Rc<Service<u64, u64>>,
}

impl Keeper {
    fn map(&self, kind: Kind) -> &Service<u64, u64> {
        match kind {
            Kind::Strong => &self.strong,
            Kind::Eventual => &self.eventual,
        }
    }
}

fn not_now(_: MapError) -> Instead<Never> {
    Instead::NotNow
}

impl Keeping for Keeper {
    async fn read(&self, _: Context, kind: Kind, key: u64) -> Result<Option<u64>, Instead<Never>> {
        self.map(kind).get(key).await.map_err(not_now)
    }

    async fn write(&self, _: Context, kind: Kind, key: u64, value: u64) -> Result<(), Instead<Never>> {
        self.map(kind).put(key, value).await.map(|_| ()).map_err(not_now)
    }
}
