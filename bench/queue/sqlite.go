package main

import (
	"database/sql"
	"path/filepath"

	_ "modernc.org/sqlite"
)

// sqliteStore is SQLite with a write-ahead log that is flushed at each commit.
type sqliteStore struct{ db *sql.DB }

func openSQLite(dir string) (store, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "sqlite.db")+"?_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1) // SQLite has one writer; more connections would only meet SQLITE_BUSY
	_, err = db.Exec("create table if not exists q (seq integer primary key autoincrement, topic text, payload blob)")
	return &sqliteStore{db}, err
}

func (s *sqliteStore) put(msgs []message) error {
	tx, err := s.db.Begin()
	if err != nil {
		return err
	}
	for _, m := range msgs {
		if _, err := tx.Exec("insert into q (topic, payload) values (?, ?)", topic, m.payload); err != nil {
			tx.Rollback()
			return err
		}
	}
	return tx.Commit()
}

func (s *sqliteStore) take(n int, _ bool) error {
	rows, err := s.db.Query("select seq, topic, payload from q order by seq limit ?", n)
	if err != nil {
		return err
	}
	var last, count int
	for rows.Next() {
		var name string
		var payload []byte
		if err := rows.Scan(&last, &name, &payload); err != nil {
			rows.Close()
			return err
		}
		count++
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if count < n {
		return errShort
	}
	_, err = s.db.Exec("delete from q where seq <= ?", last)
	return err
}

func (s *sqliteStore) close() error { return s.db.Close() }
