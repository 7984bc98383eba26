//! A list whose places are reused.

#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// The place that the next [`insert`](Self::insert) will use.
    pub(crate) fn next_place(&self) -> usize {
        self.free.last().copied().unwrap_or(self.places.len())
    }

    pub(crate) fn insert(&mut self, value: T) -> usize {
        if let Some(place) = self.free.pop() {
            self.places[place] = Some(value);
            return place;
        }
        self.places.push(Some(value));
        self.places.len() - 1
    }

    pub(crate) fn remove(&mut self, place: usize) -> Option<T> {
        let value = self.places.get_mut(place)?.take();
        if value.is_some() {
            self.free.push(place);
        }
        value
    }

    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.places.get(place)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.places.get_mut(place)?.as_mut()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.len() == self.free.len()
    }

    /// All places that there were or are.
    pub(crate) fn places(&self) -> std::ops::Range<usize> {
        0..self.places.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_reused() {
        let mut slab = Slab::default();
        assert!(slab.is_empty());
        assert_eq!((slab.insert('a'), slab.insert('b')), (0, 1));
        assert_eq!(slab.remove(0), Some('a'));
        assert_eq!(slab.remove(0), None);
        assert_eq!(slab.get(0), None);
        assert_eq!(slab.next_place(), 0);
        assert_eq!(slab.insert('c'), 0);
        assert_eq!(slab.next_place(), 2);
        *slab.get_mut(1).unwrap() = 'd';
        let left: String = slab
            .places()
            .filter_map(|place| slab.remove(place))
            .collect();
        assert_eq!(left, "cd");
        assert!(slab.is_empty());
    }
}
