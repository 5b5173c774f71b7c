//! `cargo run -p cetusguard-testkit --example engine`: a simulated Docker engine for `make demo`.
//!
//! Prints the address of its socket and serves until it is killed or its standard input ends.

use cetusguard_testkit::Engine;
use cetusguard_testkit::simulator::Simulator;

#[expect(clippy::print_stdout, reason = "the caller reads the address here")]
fn main() {
    let simulator = Simulator::default();
    let engine = Engine::start(move |exchange, link| simulator.answer(exchange, link));
    println!("{}", engine.address());
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}
