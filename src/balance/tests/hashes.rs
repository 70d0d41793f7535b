//! The same server for the same key.

use super::*;
use crate::balance::hash::{mix, neg_ln};

const KEYS: usize = 50_000;

/// The owner of each key, by its place among all servers.
fn owners(members: Vec<Member>) -> Vec<u32> {
    let chooser = chooser(Strategy::IpHash);
    let view = Fake::idle(1000);
    let servers = members.len();
    let set = chooser.set(members, servers);
    let owner = |key: usize| {
        let key = format!("client-{key}");
        let choice = chooser.pick(&set, Some(key.as_bytes()), &view, None);
        set.members()[choice.at].at
    };
    (0..KEYS).map(owner).collect()
}

fn shares(owners: &[u32], count: usize) -> Vec<f64> {
    let mut counts = vec![0.0; count];
    owners.iter().for_each(|&at| counts[at as usize] += 1.0);
    counts.iter().map(|keys| keys / KEYS as f64).collect()
}

/// How far a share of keys may be off by chance: three standard deviations.
fn off(share: f64) -> f64 {
    3.0 * (share * (1.0 - share) / KEYS as f64).sqrt()
}

/// Computed apart from this code, from the definition in `hash.rs`. Were one of them to change,
/// clients of different versions would send a key to different servers.
#[test]
fn the_hash_is_what_it_has_always_been() {
    assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
    assert_eq!(mix(1), 0x910a_2dec_8902_5cc1);
    let vectors: [(&[u8], u64); 7] = [
        (b"", 0xe220_a839_7b1d_cdaf),
        (b"a", 0x5e02_5f9a_de9e_af3e),
        (b"a\0", 0xede5_3420_98bc_f0d6),
        (b"user-123", 0xab05_dfbc_298a_dcc5),
        (b"user-1234", 0x4870_42e6_0309_a20e),
        (b"192.168.1.17", 0x429a_19fb_ab4f_8f34),
        (b"http://10.0.0.1:8080", 0xc03b_a008_8f3e_e6ff),
    ];
    for (bytes, expected) in vectors {
        assert_eq!(hash(bytes), expected, "{:?}", std::str::from_utf8(bytes));
    }
}

#[test]
fn the_owners_are_who_they_have_always_been() {
    let keys = ["user-1", "user-2", "user-3", "10.1.2.3", "session/9f2c"];
    for (weights, expected) in [([1, 1, 1, 1, 1], OWNERS), ([1, 2, 3, 4, 5], WEIGHTED_OWNERS)] {
        let bench = Bench::new(Strategy::IpHash, &weights);
        let found = keys.map(|key| bench.pick_for(key, &Fake::idle(5)));
        assert_eq!(found, expected);
    }
    let bench = Bench::new(Strategy::IpHash, &[1; 65]);
    let found = keys.map(|key| bench.pick_for(key, &Fake::idle(65)));
    assert_eq!(found, TABLE_OWNERS);
}

const OWNERS: [usize; 5] = [4, 2, 0, 2, 0];
const WEIGHTED_OWNERS: [usize; 5] = [4, 2, 0, 2, 0];
const TABLE_OWNERS: [usize; 5] = [24, 14, 7, 28, 22];

#[test]
fn the_logarithm_is_one() {
    for x in [0, 1, 2047, 2048, 1 << 40, u64::MAX / 3, u64::MAX / 2, u64::MAX - 4096, u64::MAX] {
        let exact = -(((x >> 11) + 1) as f64 / (1_u64 << 53) as f64).ln();
        let off = (neg_ln(x) - exact).abs();
        assert!(off <= exact * 1e-14, "{x}: {} is not {exact}", neg_ln(x));
    }
    assert_eq!(neg_ln(u64::MAX), 0.0);
}

#[test]
fn keys_are_spread_evenly_and_the_same_key_stays() {
    for count in [3, 10, 64] {
        let found = owners(members(&vec![1; count]));
        for share in shares(&found, count) {
            let ideal = 1.0 / count as f64;
            assert!((share - ideal).abs() <= 1.2 * off(ideal), "{count}: {share}");
        }
        assert_eq!(found, owners(members(&vec![1; count])));
    }
}

#[test]
fn weights_are_kept_within_one_per_cent() {
    let weights = [1, 2, 3, 4];
    for (share, weight) in shares(&owners(members(&weights)), 4).into_iter().zip(weights) {
        assert!((share - f64::from(weight) / 10.0).abs() <= 0.01, "{weight}: {share}");
    }
}

#[test]
fn only_the_keys_of_a_server_that_leaves_move() {
    for weights in [[1; 10], [1, 1, 1, 2, 3, 4, 1, 9, 2, 1]] {
        let all = members(&weights);
        let mut left = all.clone();
        let gone = left.remove(5);
        let (before, after) = (owners(all), owners(left));
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
        let had = before.iter().filter(|&&owner| owner == gone.at).count();
        assert_eq!(moved, had, "what moves was its own");
        assert!(after.iter().all(|&owner| owner != gone.at));
        let share = f64::from(weights[5]) / f64::from(weights.iter().sum::<u32>());
        assert!((moved as f64 / KEYS as f64 - share).abs() <= off(share));
    }
}

#[test]
fn a_server_that_joins_takes_keys_and_moves_no_others() {
    let (before, after) = (owners(members(&[1; 10])), owners(members(&[1; 11])));
    let moved: Vec<u32> =
        before.iter().zip(&after).filter(|(a, b)| a != b).map(|(_, b)| *b).collect();
    assert!(moved.iter().all(|&owner| owner == 10));
    let share = 1.0 / 11.0;
    assert!((moved.len() as f64 / KEYS as f64 - share).abs() <= off(share));
}

#[test]
fn a_weight_that_grows_takes_keys_and_moves_no_others() {
    let (before, after) = (owners(members(&[2; 8])), owners(members(&[2, 2, 2, 4, 2, 2, 2, 2])));
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
    assert!(moved.into_iter().all(|(_, &owner)| owner == 3));
}

#[test]
fn the_table_of_many_servers_is_even_and_moves_little() {
    let weights = vec![1; 100];
    let all = members(&weights);
    let mut left = all.clone();
    let gone = left.remove(50);
    let (before, after) = (owners(all), owners(left));
    for share in shares(&before, 100) {
        assert!((share - 0.01).abs() <= 0.0002 + off(0.01), "{share}");
    }
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!(moved as f64 / KEYS as f64 <= 0.02, "{moved} keys moved; a hundredth had to");
    assert!(after.iter().all(|&owner| owner != gone.at));
}

#[test]
fn the_table_keeps_weights_and_forgets_nobody() {
    let mut weights = vec![10; 100];
    (weights[3], weights[70]) = (1, 30);
    let found = shares(&owners(members(&weights)), 100);
    let sum = f64::from(weights.iter().sum::<u32>());
    for at in [0, 3, 70] {
        let ideal = f64::from(weights[at]) / sum;
        assert!((found[at] - ideal).abs() <= 0.01 * ideal + off(ideal), "{at}: {}", found[at]);
    }
    let mut weights = vec![1_000_000; 100];
    weights[3] = 1;
    assert!(shares(&owners(members(&weights)), 100)[3] > 0.0);
}

#[test]
fn a_server_that_is_drained_of_65_moves_few_keys() {
    let chooser = chooser(Strategy::IpHash);
    let view = Fake::idle(65);
    let all = members(&[1; 65]);
    let (whole, rest) = (chooser.set(all.clone(), 65), chooser.set(all[1..].to_vec(), 65));
    let owner = |set: &Set, key: &str| {
        let choice = chooser.pick(set, Some(key.as_bytes()), &view, None);
        set.members()[choice.at].at
    };
    let moved = (0..1000).map(|key| format!("key-{key}"));
    let moved = moved.filter(|key| owner(&whole, key) != owner(&rest, key)).count();
    assert!(moved < 50, "{moved} of 1000");
}

/// nginx hashes three octets of an address, and takes the rest of a division.
#[test]
fn neighbours_are_spread_too() {
    let bench = Bench::new(Strategy::IpHash, &[1; 4]);
    let mut counts = [0; 4];
    for host in 0..256 {
        counts[bench.pick_for(&format!("192.168.1.{host}"), &Fake::idle(4))] += 1;
    }
    assert_in_proportion(&counts, &[1; 4]);
}

#[test]
fn without_a_key_it_is_round_robin() {
    for strategy in [Strategy::IpHash, Strategy::BoundedLoadHash] {
        let bench = Bench::new(strategy, &[1; 3]);
        assert_eq!(bench.counts(300, &Fake::idle(3)), [100; 3]);
        let mut counts = [0; 3];
        (0..300).for_each(|_| counts[bench.pick_for("", &Fake::idle(3))] += 1);
        assert_eq!(counts, [100; 3]);
    }
}

#[test]
fn the_next_in_the_keys_order_stands_in_for_one_that_will_not_do() {
    for count in [10, 100] {
        let bench = Bench::new(Strategy::IpHash, &vec![1; count]);
        let mut stand_ins = std::collections::HashSet::new();
        for key in 0..200 {
            let key = format!("key-{key}");
            let mut view = Fake::idle(count);
            let first = bench.pick_for(&key, &view);
            view.barred.push(first);
            let second = bench.pick_for(&key, &view);
            assert_ne!(first, second);
            assert_eq!(second, bench.pick_for(&key, &view));
            stand_ins.insert((first, second));
        }
        // Not one neighbour for all keys of a server.
        assert!(stand_ins.len() > count, "{}", stand_ins.len());
    }
}

#[test]
fn when_only_one_will_do_it_is_found() {
    for count in [64, 65, 200] {
        let bench = Bench::new(Strategy::IpHash, &vec![1; count]);
        let barred = (0..count).filter(|&at| at != 7).collect();
        let view = Fake { barred, ..Fake::idle(count) };
        for key in ["a", "b", "c"] {
            assert_eq!(bench.pick_for(key, &view), 7);
        }
    }
}
