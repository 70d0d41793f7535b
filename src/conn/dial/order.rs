//! In which order the addresses of a name are tried.

use std::net::SocketAddr;

/// The first `most` addresses to be tried. The families take turns, beginning with that of the
/// first address (RFC 8305 §4, with a First Address Family Count of 1); within each, the order is
/// kept, but for its beginning, which is the address number `turn`, as if they were a ring.
pub(super) fn order(addrs: &[SocketAddr], turn: usize, most: usize) -> Vec<SocketAddr> {
    let Some(first) = addrs.first() else {
        return Vec::new();
    };
    let ring = |is_first: bool| {
        let mut family: Vec<_> = addrs.to_vec();
        family.retain(|addr| (addr.is_ipv4() == first.is_ipv4()) == is_first);
        let start = turn.checked_rem(family.len()).unwrap_or(0);
        family.rotate_left(start);
        family.into_iter()
    };
    let (mut preferred, mut other) = (ring(true), ring(false));
    let mut ordered = Vec::with_capacity(addrs.len().min(most));
    while ordered.len() < most {
        let before = ordered.len();
        ordered.extend(preferred.next());
        ordered.extend(other.next());
        if ordered.len() == before {
            break;
        }
    }
    ordered.truncate(most);
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(addrs: &[&str], turn: usize, most: usize) -> Vec<String> {
        let parse = |addr: &&str| SocketAddr::new(addr.parse().unwrap(), 80);
        let addrs: Vec<_> = addrs.iter().map(parse).collect();
        order(&addrs, turn, most).iter().map(|addr| addr.ip().to_string()).collect()
    }

    #[test]
    fn families_take_turns_beginning_with_that_of_the_first() {
        let found = ordered(&["::1", "::2", "::3", "1.0.0.1", "1.0.0.2"], 0, 16);
        assert_eq!(found, ["::1", "1.0.0.1", "::2", "1.0.0.2", "::3"]);
        let found = ordered(&["1.0.0.1", "1.0.0.2", "::1"], 0, 16);
        assert_eq!(found, ["1.0.0.1", "::1", "1.0.0.2"]);
        assert!(ordered(&[], 1, 16).is_empty());
    }

    #[test]
    fn each_family_begins_with_the_address_whose_turn_it_is() {
        let addrs = ["::1", "1.0.0.1", "1.0.0.2", "::2", "::3"];
        assert_eq!(ordered(&addrs, 1, 16), ["::2", "1.0.0.2", "::3", "1.0.0.1", "::1"]);
        assert_eq!(ordered(&addrs, 5, 16), ["::3", "1.0.0.2", "::1", "1.0.0.1", "::2"]);
        assert_eq!(ordered(&["1.0.0.1"], usize::MAX, 16), ["1.0.0.1"]);
    }

    #[test]
    fn no_more_than_the_most_are_tried_and_all_that_are_no_more() {
        let addrs = ["1.0.0.1", "::1", "1.0.0.2", "::2"];
        assert_eq!(ordered(&addrs, 0, 4).len(), 4);
        assert_eq!(ordered(&addrs, 0, 3), ["1.0.0.1", "::1", "1.0.0.2"]);
        assert_eq!(ordered(&addrs, 0, 1), ["1.0.0.1"]);
    }
}
