//! Who may be picked, all servers taken together.

/// What a server counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vote {
    /// It is to get nothing, whatever its health.
    OutOfService,
    Well,
    /// Its requests failed.
    Ejected,
    /// Its checks failed, or nothing is known of it and that is not enough.
    Ill,
}

/// How many servers count as what, those of weight 0 left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Census {
    in_service: u64,
    well: u64,
    ejected: u64,
    weight: u64,
    weight_well: u64,
}

/// Which servers may be picked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Those that are well.
    #[default]
    Normal,
    /// None is well: those that are ejected, whose failures may have been the requests' own.
    LastResort,
    /// Too few are well to carry the load: all that are in service.
    Panic,
}

impl Census {
    pub(crate) fn add(&mut self, vote: Vote, weight: u32) {
        if vote == Vote::OutOfService || weight == 0 {
            return;
        }
        self.in_service += 1;
        self.weight += u64::from(weight);
        match vote {
            Vote::Well => {
                self.well += 1;
                self.weight_well += u64::from(weight);
            }
            Vote::Ejected => self.ejected += 1,
            Vote::Ill | Vote::OutOfService => {}
        }
    }

    /// `threshold` is the share, in percent, below which the pool panics.
    pub(crate) fn mode(&self, threshold: u32) -> Mode {
        // Weights are below 2^32 and servers are few: this is far below 2^64.
        if self.weight_well * 100 < u64::from(threshold) * self.weight {
            Mode::Panic
        } else if self.well == 0 {
            Mode::LastResort
        } else {
            Mode::Normal
        }
    }

    /// Whether one that is well may be ejected: counted after the fact, no more than `max_share`
    /// percent are, and another one is well.
    pub(crate) fn may_eject(&self, max_share: u32) -> bool {
        let share = (self.ejected + 1) * 100 <= u64::from(max_share) * self.in_service;
        share && self.well > 1
    }
}

impl Mode {
    pub(crate) fn takes(self, vote: Vote) -> bool {
        match (self, vote) {
            (_, Vote::OutOfService) => false,
            (_, Vote::Well) | (Self::Panic, _) => true,
            (Self::LastResort, Vote::Ejected) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn census(votes: &[(Vote, u32)]) -> Census {
        let mut census = Census::default();
        votes.iter().for_each(|&(vote, weight)| census.add(vote, weight));
        census
    }

    #[test]
    fn half_of_the_servers_may_be_ejected_and_not_one_more() {
        use Vote::{Ejected, Ill, Well};
        let rows = [
            (&[Well][..], false),
            (&[Well, Well], true),
            (&[Well, Ejected], false),
            (&[Well, Well, Well], true),
            (&[Well, Well, Ejected], false),
            (&[Well, Well, Well, Ejected], true),
            (&[Well, Ill], false),
            (&[Well, Well, Ill, Ill], true),
        ];
        for (votes, expected) in rows {
            let votes: Vec<(Vote, u32)> = votes.iter().map(|vote| (*vote, 1)).collect();
            assert_eq!(census(&votes).may_eject(50), expected, "{votes:?}");
        }
        // A drained server is none of them.
        assert!(!census(&[(Well, 1), (Well, 0)]).may_eject(50));
        assert!(!census(&[(Well, 1), (Vote::OutOfService, 1)]).may_eject(50));
        assert!(!census(&[(Well, 1), (Well, 1)]).may_eject(49));
    }

    #[test]
    fn the_pool_panics_below_the_threshold_and_not_at_it() {
        use Vote::{Ill, Well};
        let half = census(&[(Well, 1), (Ill, 1)]);
        assert_eq!(half.mode(0), Mode::Normal);
        assert_eq!(half.mode(50), Mode::Normal);
        assert_eq!(half.mode(51), Mode::Panic);
        let light = census(&[(Well, 1), (Ill, 3)]);
        assert_eq!((light.mode(25), light.mode(26)), (Mode::Normal, Mode::Panic));
        assert_eq!(census(&[(Ill, 1)]).mode(0), Mode::LastResort);
        assert_eq!(census(&[(Ill, 1)]).mode(1), Mode::Panic);
    }
}
