import { missing } from './not-there.js';
missing();
