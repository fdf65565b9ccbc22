import Fastify from 'fastify'
import { kinds } from '@mill/grain'

const app = Fastify()
app.get('/healthz', async () => 'ok')
app.get('/', async () => kinds)
await app.listen({ host: '0.0.0.0', port: Number(process.env.PORT ?? 7000) })
