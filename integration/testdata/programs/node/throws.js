'use strict';
throw new Error('thrown at start');
