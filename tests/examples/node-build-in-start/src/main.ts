import Hapi from '@hapi/hapi';

Hapi.server({ port: 4500, host: '0.0.0.0' }).start();
