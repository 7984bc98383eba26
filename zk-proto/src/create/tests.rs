use super::*;

const TTL: fn(i64) -> Ttl = |millis| Ttl::from_millis(millis).unwrap();

#[test]
fn every_mode_has_its_flags_and_operation() {
    use CreateMode::*;
    for (mode, flags, sequential, ephemeral, opcode, opcode_with_stat) in [
        (Persistent, 0, false, false, OpCode::CREATE, OpCode::CREATE2),
        (Ephemeral, 1, false, true, OpCode::CREATE, OpCode::CREATE2),
        (
            PersistentSequential,
            2,
            true,
            false,
            OpCode::CREATE,
            OpCode::CREATE2,
        ),
        (
            EphemeralSequential,
            3,
            true,
            true,
            OpCode::CREATE,
            OpCode::CREATE2,
        ),
        (
            Container,
            4,
            false,
            false,
            OpCode::CREATE_CONTAINER,
            OpCode::CREATE_CONTAINER,
        ),
        (
            PersistentWithTtl(TTL(7)),
            5,
            false,
            false,
            OpCode::CREATE_TTL,
            OpCode::CREATE_TTL,
        ),
        (
            PersistentSequentialWithTtl(TTL(7)),
            6,
            true,
            false,
            OpCode::CREATE_TTL,
            OpCode::CREATE_TTL,
        ),
    ] {
        assert_eq!(mode.flags(), flags);
        assert_eq!(
            (mode.is_sequential(), mode.is_ephemeral()),
            (sequential, ephemeral)
        );
        assert_eq!(
            (mode.opcode(false), mode.opcode(true)),
            (opcode, opcode_with_stat)
        );
        let ttl = mode.ttl().map(Ttl::as_millis);
        assert_eq!(CreateMode::from_flags(flags, ttl), Ok(mode));
        assert_eq!(
            WireMode::from_wire(opcode, flags, ttl),
            WireMode::Known(mode)
        );
        assert_eq!(
            WireMode::from_wire(opcode_with_stat, flags, ttl),
            mode.into()
        );
        assert_eq!(WireMode::from(mode).effective(), Ok(mode));
    }
}

#[test]
fn flags_that_are_no_mode() {
    for (flags, ttl, error) in [
        (-1, None, ModeError::UnknownFlags(-1)),
        (7, None, ModeError::UnknownFlags(7)),
        (99, Some(1), ModeError::UnknownFlags(99)),
        (5, None, ModeError::MissingTtl),
        (6, None, ModeError::MissingTtl),
        (0, Some(1000), ModeError::UnexpectedTtl),
        (4, Some(1000), ModeError::UnexpectedTtl),
        (5, Some(0), ModeError::TtlTooShort),
        (5, Some(-1), ModeError::TtlTooShort),
        (6, Some(1 << 40), ModeError::TtlTooLong),
        (6, Some(i64::MAX), ModeError::TtlTooLong),
    ] {
        assert_eq!(CreateMode::from_flags(flags, ttl), Err(error));
    }
}

#[test]
fn servers_make_something_of_some_of_them() {
    for (opcode, flags, ttl, effective) in [
        (OpCode::CREATE, 4, None, Ok(CreateMode::Persistent)),
        (OpCode::CREATE2, 4, None, Ok(CreateMode::Persistent)),
        (OpCode::CREATE_CONTAINER, 0, None, Ok(CreateMode::Container)),
        (
            OpCode::CREATE_CONTAINER,
            99,
            None,
            Ok(CreateMode::Container),
        ),
        (OpCode::CREATE, 5, None, Err(ModeError::MissingTtl)),
        (OpCode::CREATE, 99, None, Err(ModeError::UnknownFlags(99))),
        (
            OpCode::CREATE_TTL,
            0,
            Some(1000),
            Err(ModeError::UnexpectedTtl),
        ),
        (
            OpCode::CREATE_TTL,
            5,
            Some(1 << 40),
            Err(ModeError::TtlTooLong),
        ),
    ] {
        let mode = WireMode::from_wire(opcode, flags, ttl);
        assert_eq!(mode, WireMode::Raw(RawMode { opcode, flags, ttl }));
        assert_eq!(mode.effective(), effective, "{mode:?}");
        assert_eq!((mode.opcode(false), mode.opcode(true)), (opcode, opcode));
        assert_eq!(
            (mode.flags(), mode.ttl_millis(), mode.known()),
            (flags, ttl, None)
        );
    }
}

#[test]
fn a_time_to_live_has_bounds() {
    for (time, expected) in [
        (Duration::ZERO, Err(ModeError::TtlTooShort)),
        (Duration::from_micros(999), Err(ModeError::TtlTooShort)),
        (Duration::from_millis(1), Ok(1)),
        (Duration::from_micros(1999), Ok(1)),
        (Duration::from_secs(3600), Ok(3_600_000)),
        (Duration::from_millis((1 << 40) - 1), Ok((1 << 40) - 1)),
        (Duration::from_millis(1 << 40), Err(ModeError::TtlTooLong)),
        (Duration::MAX, Err(ModeError::TtlTooLong)),
    ] {
        assert_eq!(Ttl::new(time).map(Ttl::as_millis), expected, "{time:?}");
        assert_eq!(
            Ttl::try_from(time).map(Ttl::as_millis),
            expected,
            "{time:?}"
        );
    }
    assert_eq!(TTL(1500).as_duration(), Duration::from_millis(1500));
}
