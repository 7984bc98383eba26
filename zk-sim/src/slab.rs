//! A table whose places are reused, and whose keys are not.

/// Things by [`Key`].
#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<(u64, T)>>,
    free: Vec<u32>,
    last: u64,
}

/// Names one thing for good: a later one in the same place has another serial number.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Key {
    place: u32,
    pub(crate) serial: u64,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
            last: 0,
        }
    }
}

impl<T> Slab<T> {
    /// Puts in what `make` makes for its key.
    pub(crate) fn insert(&mut self, make: impl FnOnce(Key) -> T) -> Key {
        self.last += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            u32::try_from(self.places.len() - 1).expect("fewer than 2^32 streams at once")
        });
        let key = Key {
            place,
            serial: self.last,
        };
        self.places[place as usize] = Some((key.serial, make(key)));
        key
    }

    /// The serial number that the next key will have.
    pub(crate) fn next_serial(&self) -> u64 {
        self.last + 1
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        match self.places.get_mut(key.place as usize) {
            Some(Some((serial, value))) if *serial == key.serial => Some(value),
            _ => None,
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&T> {
        match self.places.get(key.place as usize) {
            Some(Some((serial, value))) if *serial == key.serial => Some(value),
            _ => None,
        }
    }

    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.free.push(key.place);
        self.places[key.place as usize].take().map(|it| it.1)
    }

    /// All that there are, with their keys, in the order of their places.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &T)> {
        self.places.iter().enumerate().filter_map(|(place, entry)| {
            let (serial, value) = entry.as_ref()?;
            let key = Key {
                place: place as u32,
                serial: *serial,
            };
            Some((key, value))
        })
    }

    /// Takes everything out.
    pub(crate) fn take(&mut self) -> Vec<T> {
        self.free.clear();
        let places = std::mem::take(&mut self.places);
        places.into_iter().flatten().map(|it| it.1).collect()
    }
}
