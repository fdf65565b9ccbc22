import { Elysia } from 'elysia';

new Elysia().get('/', () => 'pulse').listen(3000);
