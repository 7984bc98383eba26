//! Operations that wait for room in the session's queue, first come, first served.

use std::collections::VecDeque;
use std::task::Waker;

/// A place in the queue of those who wait for room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Seat(u64);

/// Those who wait. Only the first may try; when it leaves, by success or not, it wakes the next.
#[derive(Default)]
pub(crate) struct Room {
    next: u64,
    /// Without a waker: woken, and not back yet.
    waiting: VecDeque<(Seat, Option<Waker>)>,
}

impl Room {
    /// May the one with this seat, or the one without, submit now?
    pub(crate) fn is_next(&self, seat: Option<Seat>) -> bool {
        self.waiting
            .front()
            .is_none_or(|(first, _)| Some(*first) == seat)
    }

    /// Sits down at the end, or stays; hands back the waker used before.
    pub(crate) fn wait(&mut self, seat: &mut Option<Seat>, waker: Waker) -> Option<Waker> {
        if let Some(place) = seat.and_then(|seat| self.place_of(seat)) {
            return self.waiting[place].1.replace(waker);
        }
        let fresh = Seat(self.next);
        self.next += 1;
        *seat = Some(fresh);
        self.waiting.push_back((fresh, Some(waker)));
        None
    }

    /// Leaves; hands back its own waker, and whom to wake next if it was first.
    pub(crate) fn leave(&mut self, seat: Seat) -> (Option<Waker>, Option<Waker>) {
        let Some(place) = self.place_of(seat) else {
            return (None, None);
        };
        let own = self.waiting.remove(place).and_then(|(_, waker)| waker);
        (own, if place == 0 { self.wake_first() } else { None })
    }

    /// There may be room: whom to wake.
    pub(crate) fn wake_first(&mut self) -> Option<Waker> {
        self.waiting.front_mut().and_then(|(_, waker)| waker.take())
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    fn place_of(&self, seat: Seat) -> Option<usize> {
        self.waiting
            .binary_search_by_key(&seat.0, |(seat, _)| seat.0)
            .ok()
    }
}
