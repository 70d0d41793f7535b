//! The idle set, the line, the limits and their total on one thread, against a plain model.
//!
//! Every interleaving of a few steps is explored by loom; here it is the order of many steps.

mod callers;
mod fleet;
mod model;
mod rules;
mod world;

use self::world::{Shape, World};

/// Whatever the callers of two servers do, one after another: each is given what is their turn, no
/// limit is passed, nobody waits beside what they could have, and nothing is lost.
///
/// Input: four bytes that choose the limits; then steps of two bytes, what is done and with which.
pub fn core(input: &[u8]) {
    let [open, connecting, waiting, total, steps @ ..] = input else {
        return;
    };
    let shape = Shape::new(*open, *connecting, *waiting, *total);
    let mut world = World::new(&shape);
    for step in steps.chunks_exact(2) {
        world.step(step[0], step[1]);
        world.check();
    }
    world.finish();
}
