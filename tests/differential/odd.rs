//! Requests that are not well formed, or that no server knows.

use std::fmt::Write as _;

use zk_proto::{OpCode, put_boolean, put_buffer, put_int, put_long, put_text, put_text_or_null};

use super::listed::NULL_IN_ACL;
use super::requests::{Ask, multi_ops};
use super::rng::Rng;
use super::world::World;

/// The longest frame that servers take.
pub(super) const MAX_FRAME: usize = 0xf_ffff;

/// A request with something wrong in its body: cut off, too long, or a number replaced.
pub(super) fn damaged(ask: Ask, rng: &mut Rng) -> Ask {
    let mut body = ask.body;
    match rng.below(3) {
        0 if !body.is_empty() => body.truncate(rng.below(body.len())),
        1 if body.len() >= 4 => {
            // The length of the path.
            let mut wrong = *rng.pick(&[-1, -2, i32::MIN, i32::MAX, 0x7f_ffff]);
            // Null, too, is a path to servers, which do not always fail because of it.
            let forgiving = [
                OpCode::CREATE,
                OpCode::CREATE2,
                OpCode::CREATE_CONTAINER,
                OpCode::CREATE_TTL,
                OpCode::DELETE,
                OpCode::SET_DATA,
                OpCode::SET_ACL,
                OpCode::CHECK,
                OpCode::SYNC,
                OpCode::GET_EPHEMERALS,
                OpCode::ADD_WATCH,
                OpCode::CHECK_WATCHES,
                OpCode::REMOVE_WATCHES,
            ];
            if wrong == -1 && forgiving.contains(&ask.opcode) {
                wrong = -3;
            }
            body[..4].copy_from_slice(&i32::to_be_bytes(wrong));
        }
        _ => body.extend((0..1 + rng.below(20)).map(|at| at as u8)),
    }
    Ask::raw(ask.opcode, body)
}

/// A multi of operations that do not belong into one, or that is cut off.
pub(super) fn multi(world: &World, rng: &mut Rng) -> Ask {
    let mut body = Vec::new();
    let head = |body: &mut Vec<u8>, opcode: i32, done| {
        put_int(body, opcode);
        put_boolean(body, done);
        put_int(body, -1);
    };
    let opcode = *rng.pick(&[OpCode::MULTI, OpCode::MULTI, OpCode::MULTI_READ]);
    if rng.one_in(2) {
        let good = zk_proto::Request::Multi(multi_ops(world, rng, 1).into());
        let good = Ask::of(good).body;
        body.extend(&good[..good.len() - 9]); // without what ends it
    }
    let path = world.path(rng);
    let kind = *rng.pick(&[3, 4, 7, 8, 9, 0, 14, 12, 99, -11]);
    head(&mut body, kind, false);
    put_text(&mut body, &path);
    match kind {
        7 => {
            put_int(&mut body, 0);
            put_int(&mut body, -1);
        }
        _ => put_boolean(&mut body, false),
    }
    if rng.one_in(2) {
        head(&mut body, -1, true);
    }
    Ask::raw(opcode, body)
}

/// Requests with null where something should be.
pub(super) fn nulls(world: &World, rng: &mut Rng) -> Ask {
    let mut body = Vec::new();
    let path = world.path(rng);
    let mut listed = None;
    let opcode = match rng.below(6) {
        0 => {
            put_text(&mut body, &path);
            put_buffer(&mut body, Some(b"x"));
            put_int(&mut body, -1); // no list
            put_int(&mut body, 0);
            OpCode::CREATE
        }
        1 => {
            put_text(&mut body, &path);
            put_int(&mut body, -1);
            put_int(&mut body, -1);
            OpCode::SET_ACL
        }
        2 => {
            put_long(&mut body, 0);
            put_int(&mut body, 0);
            put_int(&mut body, -1);
            put_int(&mut body, 0);
            OpCode::SET_WATCHES
        }
        3 => {
            listed = Some(&NULL_IN_ACL);
            put_text(&mut body, &path);
            put_buffer(&mut body, None);
            put_int(&mut body, 1);
            put_int(&mut body, 31);
            put_text_or_null(&mut body, None);
            put_text_or_null(&mut body, Some("anyone"));
            put_int(&mut body, 0);
            OpCode::CREATE2
        }
        4 => {
            listed = Some(&NULL_IN_ACL);
            put_text(&mut body, &path);
            put_buffer(&mut body, None);
            put_int(&mut body, 1);
            put_int(&mut body, 31);
            put_text_or_null(
                &mut body,
                Some(*rng.pick(&["world", "digest", "ip", "auth"])),
            );
            put_text_or_null(&mut body, None);
            put_int(&mut body, 0);
            OpCode::CREATE2
        }
        _ => {
            // What a server without SASL says to SASL.
            put_buffer(
                &mut body,
                *rng.pick(&[None, Some(&b""[..]), Some(&b"token"[..])]),
            );
            OpCode::SASL
        }
    };
    let ask = Ask::raw(opcode, body);
    match listed {
        Some(listed) => ask.listed(listed),
        None => ask,
    }
}

/// An operation that there is not.
pub(super) fn unknown(rng: &mut Rng) -> Ask {
    let opcode = *rng.pick(&[0, -1, 10, 23, 99, 108, 1000, i32::MIN]);
    Ask::raw(OpCode(opcode), vec![0; rng.below(12)])
}

/// The longest frame that there may be, or one that is a little too long: the eight bytes of the
/// header are not counted here.
pub(super) fn large(rng: &mut Rng) -> Ask {
    let length = MAX_FRAME - 8 + rng.below(2);
    let mut body = Vec::with_capacity(length);
    put_text(&mut body, "/zookeeper/missing");
    put_boolean(&mut body, false);
    body.resize(length, 0);
    Ask::raw(OpCode::GET_DATA, body)
}

/// Bytes for the record.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes.iter().take(600) {
        let _ = write!(text, "{byte:02x}");
    }
    if bytes.len() > 600 {
        let _ = write!(text, ".. ({} bytes)", bytes.len());
    }
    text
}
