//! Round robin: each server in turn.

use crate::sync::{AtomicUsize, CachePadded, Ordering};

/// A turn that goes round. While the set of servers is stable, any `k * n` turns over `n` servers
/// name each exactly `k` times, whichever threads take them.
#[derive(Debug)]
pub(crate) struct RoundRobin {
    turn: CachePadded<AtomicUsize>,
}

impl RoundRobin {
    /// Begins at `first`: pools that start together should not all ask the same server first.
    pub(crate) fn new(first: usize) -> Self {
        Self { turn: CachePadded::new(AtomicUsize::new(first)) }
    }

    /// The next turn over `n` servers, of which there is at least one.
    #[inline]
    pub(crate) fn pick(&self, n: usize) -> usize {
        // A single server needs no turns, and no word that all threads write to.
        if n == 1 {
            return 0;
        }
        // Ordering: Relaxed. The turns guard no memory; being read-modify-writes, none is lost.
        self.turn.fetch_add(1, Ordering::Relaxed) % n
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_gets_exactly_its_turns() {
        let round_robin = RoundRobin::new(7);
        let mut turns = [0; 3];
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut turns = [0; 3];
                        (0..1000).for_each(|_| turns[round_robin.pick(3)] += 1);
                        turns
                    })
                })
                .collect();
            for worker in workers {
                let counted = worker.join().unwrap();
                turns.iter_mut().zip(counted).for_each(|(sum, n)| *sum += n);
            }
        });
        assert_eq!(turns, [1000; 3]);
    }
}
