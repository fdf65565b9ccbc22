import Database from 'better-sqlite3'
import express from 'express'

const db = new Database('visitors.db')
db.exec('create table if not exists visits (at text)')

const app = express()
app.get('/', (req, res) => {
  db.prepare('insert into visits values (?)').run(new Date().toISOString())
  res.json(db.prepare('select count(*) as visits from visits').get())
})
app.listen(process.env.PORT || 3200)
