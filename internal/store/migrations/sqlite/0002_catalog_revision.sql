-- The highest revision of clients and resources a configuration file has declared; zero while no file has one.

ALTER TABLE catalog ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
