//! Where cores are, and so how far from each other: cores of a socket share a cache, sockets are some hops apart, and
//! cores beyond the last socket are on further machines of the same shape.

/// How far two cores are from each other: an index into the cost file's list of transfers, or over the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distance {
    /// 0: the same core. 1: the same socket. 2: sockets one hop apart, and so on.
    Hops(u8),
    /// Another machine.
    Network,
}

/// The shape of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    sockets: u32,
    cores_per_socket: u32,
    /// Hops from each socket to each; empty: one hop between any two.
    hops: Vec<Vec<u8>>,
}

impl Topology {
    /// A machine of this shape, or why there is none.
    pub fn new(sockets: u32, cores_per_socket: u32, hops: Vec<Vec<u8>>) -> Result<Topology, String> {
        if sockets == 0 || cores_per_socket == 0 || sockets.checked_mul(cores_per_socket).is_none() {
            return Err("the topology needs at least one socket of at least one core".to_owned());
        }
        let count = sockets as usize;
        let is_square = hops.len() == count && hops.iter().all(|row| row.len() == count);
        if !hops.is_empty() && !is_square {
            return Err(format!("the table of hops is not {sockets} by {sockets}"));
        }
        let is_symmetric = |from: usize| (0..count).all(|to| hops[from][to] == hops[to][from]);
        if !hops.is_empty() && !(0..count).all(|from| hops[from][from] == 0 && is_symmetric(from)) {
            return Err("the table of hops is not symmetric with zeros from each socket to itself".to_owned());
        }
        Ok(Topology { sockets, cores_per_socket, hops })
    }

    /// The greatest number of hops between two sockets.
    pub fn hops_max(&self) -> u8 {
        let default = u8::from(self.sockets > 1);
        self.hops.iter().flatten().copied().max().unwrap_or(default)
    }

    /// Cores of one machine.
    pub fn cores_per_machine(&self) -> u32 {
        self.sockets * self.cores_per_socket
    }

    /// The machine of a core.
    pub fn machine(&self, core: u32) -> u32 {
        core / self.cores_per_machine()
    }

    /// The socket of a core, counted over all machines.
    pub fn socket(&self, core: u32) -> u32 {
        core / self.cores_per_socket
    }

    /// How far two cores are from each other.
    pub fn distance(&self, one: u32, other: u32) -> Distance {
        if one == other {
            return Distance::Hops(0);
        }
        if self.machine(one) != self.machine(other) {
            return Distance::Network;
        }
        let (from, to) = (self.socket(one) % self.sockets, self.socket(other) % self.sockets);
        let hops = match self.hops.get(from as usize).and_then(|row| row.get(to as usize)) {
            Some(hops) => *hops,
            None => u8::from(from != to),
        };
        Distance::Hops(1 + hops)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_follow_the_shape() {
        let hops = vec![vec![0, 1, 2], vec![1, 0, 1], vec![2, 1, 0]];
        let shape = Topology::new(3, 2, hops).unwrap();
        let distance = |one, other| shape.distance(one, other);
        assert_eq!(distance(3, 3), Distance::Hops(0));
        assert_eq!(distance(2, 3), Distance::Hops(1));
        assert_eq!(distance(0, 2), Distance::Hops(2));
        assert_eq!(distance(5, 0), Distance::Hops(3));
        assert_eq!(distance(5, 6), Distance::Network);
        assert_eq!(distance(6, 11), Distance::Hops(3));
        assert_eq!(shape.hops_max(), 2);
        assert_eq!(Topology::new(2, 2, vec![]).unwrap().distance(0, 3), Distance::Hops(2));
    }

    #[test]
    fn impossible_shapes_are_refused() {
        assert!(Topology::new(0, 1, vec![]).is_err());
        assert!(Topology::new(2, 1, vec![vec![0, 1]]).is_err());
        assert!(Topology::new(2, 1, vec![vec![0, 1], vec![2, 0]]).is_err());
    }
}
