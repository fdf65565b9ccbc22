require('express')().listen(7001);
