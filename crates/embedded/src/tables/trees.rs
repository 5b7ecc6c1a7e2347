//! The trees of the store that hold tables.

use ports::tables::Table;
use redb::{
    ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, TableError,
    WriteTransaction,
};

use super::{keys, rows};

/// Keys and encoded rows.
pub(super) type Rows<'a> = TableDefinition<'a, &'static [u8], &'static [u8]>;
/// Keys of an index; what they lead to is in them.
pub(super) type Keys<'a> = TableDefinition<'a, &'static [u8], ()>;
/// An index's tree as it was when it was opened.
pub(super) type KeysAt = ReadOnlyTable<&'static [u8], ()>;

/// Where a table lies.
#[derive(Debug)]
pub(super) struct Tree {
    /// What it is.
    pub table: &'static Table,
    rows: String,
    indexes: Vec<String>,
}

impl Tree {
    /// The trees of a table.
    pub(super) fn of(table: &'static Table) -> Self {
        let index = |name| format!("index/{}/{name}", table.name);
        let indexes = table.indexes.iter().map(|at| index(at.name)).collect();
        Self { table, rows: format!("rows/{}", table.name), indexes }
    }

    /// The tree of rows.
    pub(super) fn rows(&self) -> Rows<'_> {
        TableDefinition::new(&self.rows)
    }

    /// The tree of the index at `place` in the table's list.
    pub(super) fn index(&self, place: usize) -> Keys<'_> {
        TableDefinition::new(&self.indexes[place])
    }
}

/// Opens every tree, to see whether it is there.
pub(super) fn open_all(transaction: &ReadTransaction, trees: &[Tree]) -> Result<(), TableError> {
    for tree in trees {
        transaction.open_table(tree.rows())?;
        for place in 0..tree.indexes.len() {
            transaction.open_table(tree.index(place))?;
        }
    }
    Ok(())
}

/// Makes the trees of a table that are not there; a new index of an old table gets the rows' keys.
pub(super) fn make(transaction: &WriteTransaction, tree: &Tree) -> Result<(), redb::Error> {
    let rows = transaction.open_table(tree.rows())?;
    for (place, index) in tree.table.indexes.iter().enumerate() {
        let mut keys = transaction.open_table(tree.index(place))?;
        if !keys.is_empty()? || rows.is_empty()? {
            continue;
        }
        for row in rows.iter()? {
            let (key, row) = row?;
            let key = rows::decode(row.value()).and_then(|item| keys::of_index(index, key.value(), &item));
            if let Some(key) = key {
                keys.insert(key.as_slice(), ())?;
            }
        }
    }
    Ok(())
}
