//! Whether a request has somewhere else to go.

use std::cell::OnceCell;

use super::acquire::Wish;
use super::directory::Directory;
use super::pick::Search;
use crate::balance::View;

impl Directory {
    /// Whether there is a server that may be picked for this wish and was not tried.
    #[cold]
    pub(crate) fn has_another(&self, wish: &Wish<'_>) -> bool {
        self.roster.with(|roster| {
            let now = OnceCell::new();
            let search = Search { directory: self, roster, wish, advice: None, ahead: None, now };
            if wish.server.is_some() {
                // The only one that will do is the one that was tried.
                return false;
            }
            search.tiers().is_ok_and(|tiers| {
                let mut sets = tiers.0.iter();
                sets.any(|set| set.members().iter().any(|one| !search.is_barred(one.at as usize)))
            })
        })
    }
}
